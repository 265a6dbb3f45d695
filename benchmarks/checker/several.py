"""The checker on several hosts (`tests/hosts`): the same load on two web hosts, while hosts are cut off from others."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from testing.hosts.system import NODES, WEBS, Database, SeveralHosts, several_hosts
from testing.waiting import wait_for

from benchmarks.checker import load
from benchmarks.checker.cuts import Cut, inject
from benchmarks.checker.ledger import Ledger, Totals
from benchmarks.checker.run import drain
from benchmarks.checker.wire import Connection
from elastic_images.core.errors import ElasticImagesError

RECOVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SeveralOptions:
    """What to do."""

    database: Database
    seed: int = 1
    keys: int = 100
    readers: int = 2
    reader_threads: int = 4
    writers: int = 4
    reads_per_second: float = 40.0
    """Of each reading thread, at the most."""
    writes_per_second: float = 12.0
    pause_seconds: float = 1.0
    """Between cuts."""
    resize_pause_seconds: float | None = None
    """Between resizes; None: none."""


def check_several(
    options: SeveralOptions, cuts: Iterable[Cut], say: Callable[[str], None] = lambda _line: None
) -> dict[str, Any]:
    """Run the cuts under load, and report: what each cost, stale and failed reads, and lost writes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        several_hosts(Path(folder), options.database, cache_mb=4, near_cache_mb=2) as (system, token),
    ):
        return _Run(system, token, options, say).carry_out(cuts)


class _Run:
    def __init__(self, system: SeveralHosts, token: str, options: SeveralOptions, say: Callable[[str], None]) -> None:
        self._system = system
        self._options = options
        self._say = say
        self._totals = Totals()
        self._stop = multiprocessing.Event()
        self._complaints: Any = multiprocessing.Queue()
        self._resizes = 0
        self._plan = load.Plan(
            tuple((system.network.address(host), 5000) for host in WEBS),
            token,
            Ledger(options.keys),
            self._totals,
            self._stop,
            self._complaints,
            options.seed,
            options.writes_per_second,
            read_seconds=5.0,
            reads_per_second=options.reads_per_second,
        )

    def carry_out(self, cuts: Iterable[Cut]) -> dict[str, Any]:
        options = self._options
        with self._system.network.inside("people"):
            processes = load.start(
                self._plan, readers=options.readers, reader_threads=options.reader_threads, writers=options.writers
            )
        resizing = threading.Thread(target=self._resize)
        resizing.start()
        done: list[dict[str, Any]] = []
        try:
            done.append(self._cost("nothing is done", lambda: time.sleep(options.pause_seconds)))
            done.extend(self._cost(cut.name, partial(self._do, cut), cut.seconds) for cut in cuts)
        finally:
            self._stop.set()
            resizing.join()
            findings = drain(processes, self._complaints)
        findings += self._last_look()
        return {
            **self._totals.read(),
            "resizes": self._resizes,
            "seed": options.seed,
            "findings": findings[:50],
            "cuts": done,
        }

    def _do(self, cut: Cut) -> None:
        inject(self._system, cut, self._stop)
        self._stop.wait(self._options.pause_seconds)

    def _cost(self, name: str, do: Callable[[], None], seconds: float = 0.0) -> dict[str, Any]:
        """What was done, and how it went meanwhile and just after."""
        before, began = self._totals.read(), time.monotonic()
        self._totals.longest()
        do()
        after, took = self._totals.read(), time.monotonic() - began
        grown = {name: after[name] - before[name] for name in ("reads", "retried_reads", "bypassed", "writes")}
        longest = {f"longest_{what}_seconds": value for what, value in self._totals.longest().items()}
        refused = {"refused_writes": after["refused_writes"] - before["refused_writes"]}
        cost = {"cut": name, "cut_seconds": seconds, "seconds": round(took, 1), **grown, **refused, **longest}
        self._say(", ".join(f"{word} {value}" for word, value in cost.items()))
        return cost

    def _resize(self) -> None:
        pause = self._options.resize_pause_seconds
        chance = random.Random(f"{self._options.seed} resizes")
        while pause is not None and not self._stop.wait(pause):
            size = chance.randint(1, 6)
            with contextlib.suppress(ElasticImagesError, AssertionError):
                self._system.resize(size)
                self._system.wait_settled(size, seconds=20.0)
                self._resizes += 1

    def _last_look(self) -> list[dict[str, Any]]:
        """All is mended: every key is read from every web, and is no older than what was acknowledged."""
        wait_for(lambda: self._system.resize(len(NODES)), "the autoscaler answers", seconds=RECOVER_SECONDS)
        self._system.wait_settled(len(NODES), seconds=RECOVER_SECONDS)
        findings: list[dict[str, Any]] = []
        with self._system.network.inside("people"):
            for place in self._plan.places:
                connection = Connection(*place, 10.0)
                findings += [found for key in range(self._plan.ledger.keys) if (found := self._lost(connection, key))]
                connection.close()
        self._totals.add("lost_writes", len(findings))
        return findings

    def _lost(self, connection: Connection, key: int) -> dict[str, Any] | None:
        reply = connection.request("GET", f"/images/{load.path_of(key)}")
        wrong = (
            "no answer"
            if reply is None or reply.status not in (200, 404)
            else load.what_is_wrong(self._plan.ledger, key, self._plan.ledger.acknowledged(key), reply)
        )
        return {"kind": "lost write", "key": key, "what": wrong} if wrong else None
