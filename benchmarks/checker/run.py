"""One run of the checker: a system, load on it, resizes and faults; then what was found."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.system import System, running

from benchmarks.checker import load
from benchmarks.checker.faults import inject, schedule
from benchmarks.checker.ledger import Ledger, Totals
from elastic_images.core.errors import ElasticImagesError

_SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Options:
    """What to do, and for how long."""

    seconds: float = 600.0
    seed: int = 1
    keys: int = 400
    web_processes: int = 2
    storage_processes: int = 2
    readers: int = 2
    reader_threads: int = 4
    writers: int = 4
    writes_per_second: float = 30.0
    resize_pause_seconds: float = 0.5
    fault_pause_seconds: float = 6.0
    database: str | None = None
    folder: Path | None = None
    """Where the system's data go while it runs; the machine's temporary folder where there is none."""


def check(options: Options, say: Callable[[str], None] = lambda _line: None) -> dict[str, Any]:
    """Run, and report: reads, writes, resizes, faults, failed and stale reads, and the seed that replays the run."""
    settings: dict[str, object] = {
        "nodes": 4,
        "cache_mb": 4,
        "near_cache_mb": 2,
        "web_processes": options.web_processes,
        "storage_processes": options.storage_processes,
    }
    if options.database:
        settings["database"] = options.database
    with (
        tempfile.TemporaryDirectory(prefix="elastic-images-bench-", dir=options.folder) as folder,
        running(Path(folder), **settings) as system,
    ):
        return _Run(system, options, say).carry_out()


class _Run:
    def __init__(self, system: System, options: Options, say: Callable[[str], None]) -> None:
        self._system = system
        self._options = options
        self._say = say
        self._totals = Totals()
        self._stop = multiprocessing.Event()
        self._complaints: Any = multiprocessing.Queue()
        self._done: dict[str, list[str]] = {"resizes": [], "faults": []}

    def carry_out(self) -> dict[str, Any]:
        options = self._options
        plan = load.Plan(
            (("127.0.0.1", self._system.port("web")),),
            (self._system.data / "cli-token").read_text().strip(),
            Ledger(options.keys),
            self._totals,
            self._stop,
            self._complaints,
            options.seed,
            options.writes_per_second,
        )
        processes = load.start(
            plan, readers=options.readers, reader_threads=options.reader_threads, writers=options.writers
        )
        threads = [threading.Thread(target=work) for work in (self._resize, self._break)]
        for thread in threads:
            thread.start()
        try:
            self._watch()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            findings = drain(processes, self._complaints)
        return self._report(findings)

    def _watch(self) -> None:
        ends = time.monotonic() + self._options.seconds
        while (left := ends - time.monotonic()) > 0:
            totals = self._totals.read()
            self._say(
                f"{left:4.0f} s left: {totals['reads']:,} reads, {totals['writes']:,} writes, "
                f"{len(self._done['resizes'])} resizes, {len(self._done['faults'])} faults, "
                f"{totals['stale_reads']} stale, {totals['failed_reads']} failed"
            )
            time.sleep(min(5.0, left))

    def _resize(self) -> None:
        chance = random.Random(f"{self._options.seed} resizes")
        size = 4
        while not self._stop.wait(self._options.resize_pause_seconds):
            size = chance.choice([other for other in range(1, 9) if other != size])
            with contextlib.suppress(ElasticImagesError):
                self._system.autoscaler().update_config({"mode": "manual", "num_nodes": size})
                if self._settles(size):
                    self._done["resizes"].append(f"to {size}")

    def _settles(self, size: int) -> bool:
        """Wait until the map is dealt to `size` nodes and settled; a fault may keep that from happening for long."""
        ends = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < ends and not self._stop.is_set():
            with contextlib.suppress(ElasticImagesError):
                pool = self._system.pool()
                owners = {partition["owner"] for partition in pool["map"]["partitions"]}
                if pool["phase"] == "settled" and owners == set(range(size)):
                    return True
            self._stop.wait(0.1)
        return False

    def _break(self) -> None:
        faults = schedule(self._options.seed)
        while not self._stop.wait(self._options.fault_pause_seconds):
            what = inject(self._system, next(faults), self._stop)
            if what is not None:
                self._done["faults"].append(what)
                self._say(what)

    def _report(self, findings: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            **self._totals.read(),
            "resizes": len(self._done["resizes"]),
            "faults": len(self._done["faults"]),
            "seed": self._options.seed,
            "seconds": self._options.seconds,
            "findings": findings[:50],
            "what_was_done": self._done["faults"],
        }


def drain(processes: list[multiprocessing.Process], complaints: Any) -> list[dict[str, Any]]:
    """Wait for the load's processes, which were told to stop, and end them; what they complained of."""
    findings = []
    ends = time.monotonic() + 60.0
    while any(process.is_alive() for process in processes) and time.monotonic() < ends:
        with contextlib.suppress(queue.Empty):
            findings.append(complaints.get(timeout=0.1))
    with contextlib.suppress(queue.Empty):
        while True:
            findings.append(complaints.get(timeout=0.1))
    for process in processes:
        process.kill()
        process.join()
    return findings
