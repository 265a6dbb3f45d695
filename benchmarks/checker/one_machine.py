"""One run of the checker: a system under load, which is resized and whose processes fail."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.system import System, environment, running

from benchmarks.checker.faults import inject, schedule
from benchmarks.checker.load import Load, LoadOptions
from benchmarks.checker.people import People
from elastic_images.core.errors import ElasticImagesError
from elastic_images.settings import Settings

_SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(LoadOptions):
    """What to do, and for how long."""

    seconds: float = 600.0
    web_processes: int = 2
    storage_processes: int = 2
    resize_pause_seconds: float = 0.5
    fault_pause_seconds: float = 6.0
    database: str | None = None
    folder: Path | None = None
    """Where the running system keeps its data; None: the machine's temporary folder."""


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
        token = (system.data / "cli-token").read_text().strip()
        settings = Settings.load(environ=environment({**system.settings, "data": system.data})).with_secrets()
        people = People(settings, token)
        self._load = Load(options, [("127.0.0.1", system.port("web"))], people)
        self._resizes = 0
        self._faults: list[str] = []

    def carry_out(self) -> dict[str, Any]:
        self._load.start()
        with self._load.beside(self._resize, self._break):
            self._watch()
        return {
            **self._load.report(),
            "seconds": self._options.seconds,
            "resizes": self._resizes,
            "faults": len(self._faults),
            "what_was_done": self._faults,
        }

    def _watch(self) -> None:
        ends = time.monotonic() + self._options.seconds
        while (left := ends - time.monotonic()) > 0:
            totals = self._load.totals.read()
            self._say(
                f"{left:4.0f} s left: {totals['reads']:,} reads, {totals['writes']:,} writes, "
                f"{totals['renames']} renames, {totals['revocations']} revocations, "
                f"{self._resizes} resizes, {len(self._faults)} faults, "
                f"{totals['stale_reads']} stale, {totals['failed_reads']} failed"
            )
            time.sleep(min(5.0, left))

    def _resize(self) -> None:
        chance = random.Random(f"{self._options.seed} resizes")
        size = 4
        while not self._load.stop.wait(self._options.resize_pause_seconds):
            size = chance.choice([other for other in range(1, 9) if other != size])
            with contextlib.suppress(ElasticImagesError):
                self._system.autoscaler().update_config({"mode": "manual", "num_nodes": size})
                self._resizes += self._settles(size)

    def _settles(self, size: int) -> bool:
        """Wait until the map is dealt to `size` nodes and settled; a fault may keep that from happening for long."""
        ends = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < ends and not self._load.stop.is_set():
            with contextlib.suppress(ElasticImagesError):
                if self._system.is_settled_on(size):
                    return True
            self._load.stop.wait(0.1)
        return False

    def _break(self) -> None:
        faults = schedule(self._options.seed)
        while not self._load.stop.wait(self._options.fault_pause_seconds):
            done = inject(self._system, next(faults), self._load.stop)
            if done is not None:
                self._faults.append(done)
                self._say(done)
