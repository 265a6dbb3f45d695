"""How long reads of a lost node's images bypass the pool before other nodes serve them."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

from testing.system import System
from testing.waiting import wait_for

from benchmarks.elastic.images import Catalog
from benchmarks.elastic.load import Read, Readers
from benchmarks.elastic.records import Survival

VICTIM = 1
_BEFORE_SECONDS = 3.0
_WATCHED_SECONDS = 8.0


def survive(system: System, catalog: Catalog, readers: Readers, rate: float, nodes: int) -> list[Survival]:
    """Kill a node, then hang one, while readers read. Returns once the pool is complete again."""
    return [
        _survive("killed", lambda: system.node(VICTIM).kill(), system, catalog, readers, rate, nodes),
        _survive("stopped", lambda: system.node(VICTIM).suspend(), system, catalog, readers, rate, nodes),
    ]


def _survive(
    how: str, strike: Callable[[], None], system: System, catalog: Catalog, readers: Readers, rate: float, nodes: int
) -> Survival:
    with readers.beside(rate):
        time.sleep(_BEFORE_SECONDS)
        lost = {number for number, owner in enumerate(system.owners()) if owner == VICTIM}
        struck_at = time.monotonic()
        strike()
        wait_for(lambda: VICTIM not in system.owners(), "the others have its partitions", seconds=30, every=0.02)
        moved_at = time.monotonic()
        # A killed node is back soon; reads while it gets its partitions back do not count.
        while VICTIM not in system.owners() and time.monotonic() < struck_at + _WATCHED_SECONDS:
            time.sleep(0.02)
        ended_at = time.monotonic()
    system.wait_settled(nodes, seconds=120)
    return _told(how, struck_at, moved_at, ended_at, [r for r in readers.reads if catalog.partitions[r.number] in lost])


def _told(how: str, struck_at: float, moved_at: float, ended_at: float, reads: list[Read]) -> Survival:
    first, last = (bisect_left(reads, moment, key=lambda read: read.due_at) for moment in (struck_at, ended_at))
    mine = reads[first:last]
    bypassed = [read for read in mine if read.cache == "BYPASS"]
    return Survival(
        how=how,
        seconds=moved_at - struck_at,
        last_bypass_seconds=max((read.due_at - struck_at for read in bypassed), default=0.0),
        bypassed=len(bypassed),
        slowest_ms=1000 * max((read.seconds for read in mine), default=0.0),
        failed=sum(read.status != 200 for read in mine),
        requests=len(mine),
    )
