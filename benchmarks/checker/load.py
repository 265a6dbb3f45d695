"""The load of a run: processes that write and read, and everything they found wrong."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from testing.background import beside

from benchmarks.checker.findings import Finding
from benchmarks.checker.ledger import Ledger, Totals
from benchmarks.checker.people import People
from benchmarks.checker.plan import Plan
from benchmarks.checker.readers import read
from benchmarks.checker.writers import write

_END_SECONDS = 60.0
_SHOWN_FINDINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How much load, and the seed that replays it."""

    seed: int = 1
    keys: int = 400
    readers: int = 2
    reader_threads: int = 4
    writers: int = 4
    writes_per_second: float = 30.0
    reads_per_second: float | None = None
    """Of each reading thread, at most; None: as many as it can."""


class Load:
    """Load on one system. Used once."""

    def __init__(
        self, options: LoadOptions, places: Sequence[tuple[str, int]], people: People, *, read_seconds: float = 10.0
    ) -> None:
        """`places` are the web processes; an attempt to read takes at most `read_seconds`."""
        self._options = options
        self._complaints: Any = multiprocessing.Queue()
        self._processes: list[multiprocessing.Process] = []
        self.totals = Totals()
        self.stop = multiprocessing.Event()
        """Ends the load, and everything that waits for it."""
        self.findings: list[Finding] = []
        self.plan = Plan(
            tuple(places),
            people,
            Ledger(options.keys),
            self.totals,
            self.stop,
            self._complaints,
            options.seed,
            options.writes_per_second,
            read_seconds,
            options.reads_per_second,
        )

    def start(self) -> None:
        """Start the processes, in the network namespace of the caller."""
        options, plan = self._options, self.plan
        plan.people.make()
        work = [(write, options.writers), *[(read, options.reader_threads)] * options.readers, (_revoke, 1)]
        self._processes = [
            multiprocessing.Process(target=_run, args=(do, plan, number, threads), daemon=True)
            for number, (do, threads) in enumerate(work)
        ]
        for process in self._processes:
            process.start()

    @contextlib.contextmanager
    def beside(self, *works: Callable[[], None]) -> Iterator[None]:
        """Run `works`, which end when `stop` is set, in threads during the block; then end everything."""
        try:
            with beside(self.stop, *works):
                yield
        finally:
            self._drain()

    def _drain(self) -> None:
        ends = time.monotonic() + _END_SECONDS
        while any(process.is_alive() for process in self._processes) and time.monotonic() < ends:
            with contextlib.suppress(queue.Empty):
                self.findings.append(self._complaints.get(timeout=0.1))
        with contextlib.suppress(queue.Empty):
            while True:
                self.findings.append(self._complaints.get(timeout=0.1))
        for process in self._processes:
            process.kill()
            process.join()

    def report(self) -> dict[str, Any]:
        """The totals, the seed, and the first findings."""
        return {**self.totals.read(), "seed": self._options.seed, "findings": self.findings[:_SHOWN_FINDINGS]}


def _run(do: Callable[[Plan, int, int, int], None], plan: Plan, process: int, threads: int) -> None:
    running = [threading.Thread(target=do, args=(plan, process, number, threads)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def _revoke(plan: Plan, _process: int, _number: int, _threads: int) -> None:
    plan.people.revoke(plan.totals, plan.stop, random.Random(f"{plan.seed} revocations"))
