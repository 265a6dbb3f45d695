"""The worlds to explore, and the broken rules of which each must be found out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from tests.model.maps import Maps
from tests.model.rules import Rules, Stages
from tests.model.state import NEAR, B, Member, World, Writer

from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, settle

STILL = World(resizes_left=0)
"""One writer, no resize, no fault."""
RESIZE = World(resizes_left=1)
ROUND_TRIP = World(resizes_left=2)
"""A to B and back, with aborts."""
TWO_WRITERS = World(writers=(Writer(), Writer()), resizes_left=1)
FAULT = World(resizes_left=1, faults_left=1)
"""One of everything: a member that is killed, cut off or too slow, or a storage process that is killed."""
STILL_WITH_FAULT = World(resizes_left=0, faults_left=1)
TWO_WRITERS_WITH_FAULT = STILL_WITH_FAULT._replace(writers=(Writer(), Writer()))


@cache
def destination_first(copies: tuple[int, ...]) -> Stages:
    return (*((slot,) for slot in reversed(copies)), (NEAR,))


@cache
def nodes_in_parallel(copies: tuple[int, ...]) -> Stages:
    return (copies, (NEAR,))


@cache
def webs_first(copies: tuple[int, ...]) -> Stages:
    return ((NEAR,), *((slot,) for slot in copies))


def _without_copies(current: PoolMap) -> PoolMap:
    return PoolMap(current.epoch, settle(current).partitions)


def commit_in_one_step(current: PoolMap) -> PoolMap:
    return _without_copies(close_resize(current))


def abort_in_one_step(current: PoolMap) -> PoolMap:
    return _without_copies(abort_resize(current))


GOOD = Rules()
MAKING = replace(GOOD, renditions=True)
"""The same with renditions."""
OPENED = GOOD.maps.opened(0, B)
OPEN_WITH_FAULT = World(
    map=OPENED, members=(Member(entry=0), Member(taken=OPENED), Member()), resizes_left=0, faults_left=1
)
"""A resize is open, B has taken its map, and A holds the old version: not far from what is looked for."""


@dataclass(frozen=True)
class Variant:
    """Rules, and a world to try them in: of broken ones the smallest in which it shows."""

    rules: Rules
    start: World


SAFE: dict[str, Variant] = {
    "a resize and back": Variant(GOOD, ROUND_TRIP),
    "two writers and a resize": Variant(GOOD, TWO_WRITERS),
    "a fault in a resize": Variant(GOOD, FAULT),
    "two writers and a fault": Variant(GOOD, TWO_WRITERS_WITH_FAULT),
    "renditions and a resize": Variant(MAKING, RESIZE),
    "renditions and a fault": Variant(MAKING, STILL_WITH_FAULT),
}

UNSAFE: dict[str, Variant] = {
    "destination invalidated before source": Variant(replace(GOOD, stages=destination_first), RESIZE),
    "nodes invalidated in parallel": Variant(replace(GOOD, stages=nodes_in_parallel), RESIZE),
    "webs invalidated first": Variant(replace(GOOD, stages=webs_first), STILL),
    "the map is read only once": Variant(replace(GOOD, reads_again=False), RESIZE),
    "commit in one step": Variant(replace(GOOD, maps=Maps(close=commit_in_one_step)), RESIZE),
    "the destination is skipped at once on abort": Variant(replace(GOOD, maps=Maps(abort=abort_in_one_step)), RESIZE),
    "leftovers are kept at abort": Variant(replace(GOOD, drops_at_abort=False), ROUND_TRIP),
    "leftovers are kept at close": Variant(replace(GOOD, drops_at_close=False), ROUND_TRIP),
    "fills go on over a map that takes their partition": Variant(replace(GOOD, spoils_at_maps=False), ROUND_TRIP),
    "a pull asks whom an older map named": Variant(replace(GOOD, asks_by_its_own_map=False), ROUND_TRIP),
    "a pull without registered fills": Variant(replace(GOOD, pulls_registered=False), RESIZE),
    "a spoiled fill is joined": Variant(replace(GOOD, spoiled_leave=False), STILL),
    "check and insertion are not one": Variant(replace(GOOD, inserts_at_once=False), STILL),
    "a fill is registered after reading its source": Variant(replace(GOOD, registers_first=False), STILL),
    "bypass bytes are kept": Variant(replace(GOOD, keeps_bypass=True), STILL),
    "an old snapshot of the database": Variant(replace(GOOD, old_snapshots=True), STILL),
    "renewed instead of cleared when fenced": Variant(replace(GOOD, clears_when_fenced=False), STILL_WITH_FAULT),
    "skipped before its lease must have ended": Variant(replace(GOOD, waits_for_leases=False), STILL_WITH_FAULT),
    "leaving before it is dark": Variant(replace(GOOD, dark_before_leaving=False), STILL_WITH_FAULT),
    "no lease check at nodes": Variant(replace(GOOD, lease_at_nodes=False), STILL_WITH_FAULT),
    "no lease check at the near cache": Variant(replace(GOOD, lease_at_near=False), STILL_WITH_FAULT),
    "no lease check at the peer pull": Variant(replace(GOOD, lease_at_peers=False), OPEN_WITH_FAULT),
    "a rendition is registered after its original was read": Variant(replace(MAKING, makes_registered=False), STILL),
    "the fill of a rendition's original is not checked for spoiling": Variant(
        replace(MAKING, checks_originals=False), STILL
    ),
    "the index misses renditions": Variant(replace(MAKING, index_has_renditions=False), STILL),
    "the index misses the fills of renditions": Variant(replace(MAKING, index_has_makings=False), STILL),
}
