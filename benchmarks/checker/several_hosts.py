"""The checker on several hosts (`testing/hosts`): load on two web hosts while hosts are cut off from each other."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from testing.hosts.system import NODES, WEBS, Database, SeveralHosts, several_hosts
from testing.system import environment
from testing.waiting import wait_for

from benchmarks.checker.connection import Connection
from benchmarks.checker.cuts import Cut, inject
from benchmarks.checker.findings import Finding
from benchmarks.checker.load import Load, LoadOptions
from benchmarks.checker.people import People
from benchmarks.checker.plan import key_of
from benchmarks.checker.readers import got
from benchmarks.checker.states import what_is_wrong
from elastic_images.core.errors import ElasticImagesError
from elastic_images.settings import Settings

RECOVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralOptions(LoadOptions):
    """What to do."""

    database: Database
    keys: int = 100
    reads_per_second: float | None = 40.0
    writes_per_second: float = 12.0
    pause_seconds: float = 1.0
    """Between cuts."""
    resize_pause_seconds: float | None = None
    """Between resizes; None: no resizes."""


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
        self._resizes = 0
        settings = Settings.load(environ=environment({**system.settings, "data": system.folder / "people"}))
        places = [(system.network.address(host), 5000) for host in WEBS]
        self._load = Load(options, places, People(settings, token), read_seconds=5.0)

    def carry_out(self, cuts: Iterable[Cut]) -> dict[str, Any]:
        with self._system.network.inside("people"):
            self._load.start()
        done: list[dict[str, Any]] = []
        with self._load.beside(self._resize):
            done.append(self._cost("nothing is done", self._idle))
            done.extend(self._cost(cut.name, partial(self._do, cut), cut.seconds) for cut in cuts)
        self._load.findings += self._last_look()
        return {**self._load.report(), "resizes": self._resizes, "cuts": done}

    def _idle(self) -> None:
        time.sleep(self._options.pause_seconds)
        wait_for(lambda: self._load.totals.read()["reads"], "the load has begun")

    def _do(self, cut: Cut) -> None:
        inject(self._system, cut, self._load.stop)
        self._load.stop.wait(self._options.pause_seconds)

    def _cost(self, name: str, do: Callable[[], None], seconds: float = 0.0) -> dict[str, Any]:
        """What was done, and how it went meanwhile and just after."""
        totals = self._load.totals
        before, began = totals.read(), time.monotonic()
        totals.longest()
        do()
        after, took = totals.read(), time.monotonic() - began
        grown = {name: after[name] - before[name] for name in ("reads", "retried_reads", "bypassed", "writes")}
        longest = {f"longest_{what}_seconds": value for what, value in totals.longest().items()}
        refused = {"refused_writes": after["refused_writes"] - before["refused_writes"]}
        cost = {"cut": name, "cut_seconds": seconds, "seconds": round(took, 1), **grown, **refused, **longest}
        self._say(", ".join(f"{word} {value}" for word, value in cost.items()))
        return cost

    def _resize(self) -> None:
        pause = self._options.resize_pause_seconds
        chance = random.Random(f"{self._options.seed} resizes")
        while pause is not None and not self._load.stop.wait(pause):
            size = chance.randint(1, 6)
            with contextlib.suppress(ElasticImagesError, AssertionError):
                self._system.resize(size)
                self._system.wait_settled(size, seconds=20.0)
                self._resizes += 1

    def _last_look(self) -> list[Finding]:
        """Everything is repaired: every web must give every key no older than what was acknowledged."""
        wait_for(lambda: self._system.resize(len(NODES)), "the autoscaler answers", seconds=RECOVER_SECONDS)
        self._system.wait_settled(len(NODES), seconds=RECOVER_SECONDS)
        plan = self._load.plan
        findings: list[Finding] = []
        with self._system.network.inside("people"):
            for place in plan.places:
                connection = Connection(*place, 10.0)
                findings += [found for key in range(plan.ledger.keys) if (found := self._lost(connection, key))]
                connection.close()
        self._load.totals.add("lost_writes", len(findings))
        return findings

    def _lost(self, connection: Connection, key: int) -> Finding | None:
        plan = self._load.plan
        seen = plan.ledger.acknowledged(key)
        name = plan.ledger.state(key, seen).name
        token = {"Authorization": f"Bearer {plan.people.admin.secret}"}
        reply = connection.request("GET", f"/images/{key_of(key, name)}", None, token)
        wrong = (
            "no answer"
            if reply is None or reply.status not in (200, 404)
            else what_is_wrong(plan.ledger.possible(key, seen) or [], name, ["admin"], got(reply, key))
        )
        return {"kind": "lost write", "key": key, "what": wrong} if wrong else None
