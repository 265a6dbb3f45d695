"""Readers that request photographs all the time, and record what went wrong."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from testing.background import beside
from testing.client import Client
from testing.photographs import Photograph
from testing.waiting import WAIT_SECONDS, wait_for


@dataclass(slots=True)
class Readers:
    """What they saw so far. Thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    failures: list[str] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    """The number of good answers by `X-Cache`."""

    @property
    def count(self) -> int:
        """How many reads got the right bytes."""
        with self._lock:
            return sum(self.sources.values())

    def note(self, source: str, failure: str | None) -> None:
        """Count one read."""
        with self._lock:
            if failure is None:
                self.sources[source] += 1
            else:
                self.failures.append(failure)

    def wait_for_more(self, number: int = 200, *, seconds: float = WAIT_SECONDS) -> None:
        """Return after `number` more reads, or a failure."""
        goal = self.count + number
        wait_for(lambda: self.count >= goal or self.failures, f"{number} more reads", seconds=seconds)


@contextlib.contextmanager
def readers(client: Client, photographs: Sequence[Photograph], *, threads: int = 4) -> Iterator[Readers]:
    """Read these photographs in random order, by several threads, while the block runs."""
    seen = Readers()
    stop = threading.Event()

    def read(seed: int) -> None:
        rng = random.Random(seed)
        while not stop.is_set():
            photograph = rng.choice(photographs)
            try:
                answer = client.get(photograph.name)
            except OSError as error:
                seen.note("", f"{photograph.name}: {error}")
                continue
            good = answer.status == 200 and answer.body == photograph.body
            seen.note(
                answer.cache or "?", None if good else f"{photograph.name}: {answer.status} {answer.body[:200]!r}"
            )

    with beside(stop, *(partial(read, seed) for seed in range(threads))):
        yield seen
