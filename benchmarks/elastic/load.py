"""Readers: at a steady rate, however slow the answers are, or as fast as they can."""

from __future__ import annotations

import contextlib
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from random import Random

from testing.background import beside

from benchmarks.checker.connection import Connection
from benchmarks.elastic.images import Catalog, cumulative_zipf

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Read:
    """One request. Times are by `time.monotonic`."""

    number: int
    """Of the image; 0 is the most popular."""
    due_at: float
    """When it should have been sent: waiting for a free reader counts as latency, too."""
    seconds: float
    """From then until its answer was read."""
    status: int
    """0: no answer."""
    cache: str
    """Its `X-Cache`."""

    @property
    def missed(self) -> bool:
        """Whether it needed storage."""
        return self.cache in ("MISS", "BYPASS")


class Readers:
    """Draws images by Zipf's law and reads them. Keeps a record of every read, in the order of sending.

    Not thread-safe, but it reads in threads of its own.
    """

    def __init__(self, port: int, catalog: Catalog, seed: int) -> None:
        self._port = port
        self._catalog = catalog
        self._weights = cumulative_zipf(len(catalog.keys))
        self._chance = Random(f"{seed} requests")
        self._lock = threading.Lock()
        self.reads: list[Read] = []

    def rest(self, count: int, *, threads: int = 6) -> None:
        """Bring the caches to a steady state: each image once, in random order, then `count` requests by Zipf's law.

        Sent as fast as the readers can, for the headers only. Without the first part a pool that has grown would need
        hundreds of thousands of requests to see the unpopular images.
        """
        everything = list(range(len(self._catalog.keys)))
        self._chance.shuffle(everything)
        numbers = chain(everything, (self._draw() for _ in range(count)))

        stop = threading.Event()

        def work() -> None:
            connection = Connection("127.0.0.1", self._port, _TIMEOUT_SECONDS)
            while not stop.is_set():
                with self._lock:
                    number = next(numbers, None)
                    if number is None:
                        break
                    place = self._begin(number)
                self._read(connection, "HEAD", place, number, time.monotonic())
            connection.close()

        _run(work, threads, stop)

    @contextlib.contextmanager
    def beside(self, rate: float) -> Iterator[None]:
        """Read at `rate` requests a second while the block runs."""
        stop = threading.Event()
        with beside(stop, partial(self.steadily, rate, stop)):
            yield

    def steadily(self, rate: float, stop: threading.Event, *, threads: int = 48) -> None:
        """`rate` requests a second until `stop` is set."""
        began, count = time.monotonic(), iter(range(1 << 40))

        def work() -> None:
            connection = Connection("127.0.0.1", self._port, _TIMEOUT_SECONDS)
            while not stop.is_set():
                with self._lock:
                    due_at = began + next(count) / rate
                    number = self._draw()
                    place = self._begin(number)
                time.sleep(max(0.0, due_at - time.monotonic()))
                self._read(connection, "GET", place, number, due_at)
            connection.close()

        _run(work, threads, stop)

    def _draw(self) -> int:
        return bisect_left(self._weights, self._chance.random() * self._weights[-1])

    def _begin(self, number: int) -> int:
        self.reads.append(Read(number, 0.0, 0.0, 0, ""))
        return len(self.reads) - 1

    def _read(self, connection: Connection, method: str, place: int, number: int, due_at: float) -> None:
        reply = connection.request(method, f"/images/{self._catalog.keys[number]}{self._catalog.query}")
        seconds = time.monotonic() - due_at
        status, cache = (reply.status, reply.cache) if reply else (0, "")
        self.reads[place] = Read(number, due_at, seconds, status, cache)


def _run(work: Callable[[], None], threads: int, stop: threading.Event) -> None:
    """Run `work` in threads and wait for them. An interrupted wait sets `stop`, or they would outlive the run."""
    running = [threading.Thread(target=work) for _ in range(threads)]
    try:
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    except BaseException:
        stop.set()
        raise


def percentile(reads: Sequence[Read], share: float) -> float:
    """The percentile of the reads' latency in milliseconds; 0 without reads."""
    if not reads:
        return 0.0
    ordered = sorted(read.seconds for read in reads)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000
