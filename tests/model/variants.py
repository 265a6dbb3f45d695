"""The worlds to explore, and the broken rules of which each must be found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tests.model.history import KEY, NEIGHBOUR, STRANGER, History, Row, Write
from tests.model.maps import Maps, all_on, swapped
from tests.model.rules import Rules, Stages
from tests.model.state import FENCED, B, Member, World, Writer

from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, settle
from elastic_images.pool.invalidation import rounds

STILL = World(resizes_left=0)
"""One writer, no resize, no fault."""
TWO_STILL = STILL._replace(writers=(Writer(), Writer()))
RESIZE = World(resizes_left=1)
ROUND_TRIP = World(resizes_left=2)
"""A to B and back, with aborts."""
TWO_WRITERS = World(writers=(Writer(), Writer()), resizes_left=1)
FAULT = World(resizes_left=1, faults_left=1)
"""One of everything: a member that is killed, cut off or too slow, or a storage process that is killed."""
STILL_WITH_FAULT = World(resizes_left=0, faults_left=1)
TWO_WRITERS_WITH_FAULT = STILL_WITH_FAULT._replace(writers=(Writer(), Writer()))


@cache
def destination_first(nodes: tuple[int, ...], near: int) -> Stages:
    return (*((call,) for call in reversed(nodes)), (near,))


@cache
def nodes_in_parallel(nodes: tuple[int, ...], near: int) -> Stages:
    return (nodes, (near,))


@cache
def webs_first(nodes: tuple[int, ...], near: int) -> Stages:
    return ((near,), *((call,) for call in nodes))


def in_the_first_keys_order(keys: Sequence[str], pool_map: PoolMap | None) -> list[dict[int, list[str]]]:
    slots = [slot for key in keys for one_round in rounds([key], pool_map) for slot in one_round]
    return [{slot: list(keys)} for slot in dict.fromkeys(slots)]


def only_old_key(write: Write) -> tuple[str, ...]:
    return (write.key,)


def only_new_key(write: Write) -> tuple[str, ...]:
    return write.keys if write.to is None else (write.to,)


def only_bytes(write: Write) -> tuple[str, ...]:
    return () if write.kind == "show" else write.keys


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
OPEN_AND_FENCED = World(
    map=OPENED, members=(Member(entry=0, row=FENCED), Member(taken=OPENED), Member()), resizes_left=0
)
"""A resize is open, B has taken its map, and A holds the old version and is fenced: not far from what is looked for."""
OPEN_WITH_ENTRY = World(map=OPENED, members=(Member(), Member(entry=0, taken=OPENED), Member()), resizes_left=0)
"""A resize is open, and B has filled itself with the old version."""
HIDE = (Write("show", visibility="private"),)
SECRET = (Write(visibility="private"),)
"""A private image replaces a public one."""
HIDE_AND_SHOW = (*HIDE, Write("show", visibility="members"))


def of(*writes: Write, first: dict[str, Row] | None = None) -> Rules:
    """The rules, with these writes of the one key."""
    return Rules(history=History(writes, first))


def moving(to: str, *writes: Write, watched: str, first: dict[str, Row] | None = None, **broken: Any) -> Rules:
    """The rules, with these writes before a rename of `KEY`. Keys in two partitions pass each other in resizes."""
    history = History((*writes, Write("move", KEY, to)), first, watched=watched, **broken)
    return Rules(history=history, maps=_maps(to, watched))


def _maps(to: str, watched: str, **broken: Any) -> Maps:
    return Maps(watched, deal=all_on if to == NEIGHBOUR else swapped(watched), **broken)


FIRST_KEYS_ORDER = Rules(
    history=History((Write("move", STRANGER, KEY),), {STRANGER: Row(1, "the first image")}, watched=STRANGER),
    maps=_maps(STRANGER, STRANGER, told=in_the_first_keys_order),
)
USED_BEFORE = {KEY: Row(1, "the first image"), NEIGHBOUR: Row(5, "an image of an older life")}
OLDER_LIFE = Write("delete", NEIGHBOUR)
YOUNG = {KEY: Row(9, "the first image"), NEIGHBOUR: Row(5)}
"""The image has a greater version than the new key had."""


@dataclass(frozen=True)
class Variant:
    """Rules, and a world to try them in: of broken ones the smallest in which it shows."""

    rules: Rules
    start: World
    early: bool = False
    """Whether the way to what is wrong has no acknowledgement in it."""


SAFE: dict[str, Variant] = {
    "a resize and back": Variant(GOOD, ROUND_TRIP),
    "two writers and a resize": Variant(GOOD, TWO_WRITERS),
    "a fault in a resize": Variant(GOOD, FAULT),
    "two writers and a fault": Variant(GOOD, TWO_WRITERS_WITH_FAULT),
    "renditions and a resize": Variant(MAKING, RESIZE),
    "renditions and a fault": Variant(MAKING, STILL_WITH_FAULT),
    "a change of visibility and a resize": Variant(of(*HIDE), RESIZE),
    "a change of visibility and a fault": Variant(of(*HIDE), STILL_WITH_FAULT),
    "two changes of visibility": Variant(of(*HIDE_AND_SHOW), TWO_STILL),
    "a private image over a public one, with renditions": Variant(replace(of(*SECRET), renditions=True), STILL),
    "the old key of a rename in its partition": Variant(moving(NEIGHBOUR, watched=KEY), RESIZE),
    "the new key of a rename in its partition": Variant(moving(NEIGHBOUR, watched=NEIGHBOUR), RESIZE),
    "a rename onto a key that was used before": Variant(
        moving(NEIGHBOUR, OLDER_LIFE, watched=NEIGHBOUR, first=USED_BEFORE), TWO_STILL
    ),
    "the old key of a rename across partitions": Variant(moving(STRANGER, watched=KEY), RESIZE),
    "the new key of a rename across partitions": Variant(moving(STRANGER, watched=STRANGER), RESIZE),
    "the old key of a rename and a fault": Variant(moving(STRANGER, watched=KEY), STILL_WITH_FAULT),
    "the new key of a rename and a fault": Variant(moving(STRANGER, watched=STRANGER), STILL_WITH_FAULT),
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
    "no lease check at the peer pull": Variant(replace(GOOD, lease_at_peers=False), OPEN_AND_FENCED),
    "a rendition is registered after its original was read": Variant(replace(MAKING, makes_registered=False), STILL),
    "the fill of a rendition's original is not checked for spoiling": Variant(
        replace(MAKING, checks_originals=False), STILL
    ),
    "the index misses renditions": Variant(replace(MAKING, index_has_renditions=False), STILL),
    "the index misses the fills of renditions": Variant(replace(MAKING, index_has_makings=False), STILL),
    "a change of visibility is not invalidated": Variant(replace(of(*HIDE), tells=only_bytes), STILL),
    "visibility is asked for before the bytes": Variant(
        replace(of(*SECRET), judged_by="asked first"), STILL, early=True
    ),
    "visibility is remembered apart from the bytes": Variant(replace(of(*HIDE), judged_by="remembered"), STILL),
    "the near cache judges by what nodes hold": Variant(
        replace(of(*SECRET), judged_by="the nodes' copies"), RESIZE, early=True
    ),
    "a rendition is judged by the original at hand": Variant(
        replace(MAKING, history=History(SECRET), judged_by="the original"), OPEN_WITH_ENTRY, early=True
    ),
    "an answer without visibility counts as public": Variant(replace(of(*HIDE), judged_by="nothing"), STILL),
    "conditions before authorization": Variant(Rules(history=History(HIDE, authorizes_first=False)), STILL),
    "a rename invalidates the old key alone": Variant(
        replace(moving(NEIGHBOUR, watched=NEIGHBOUR), tells=only_old_key), STILL
    ),
    "a rename invalidates the new key alone": Variant(
        replace(moving(NEIGHBOUR, watched=KEY), tells=only_new_key), STILL
    ),
    "a rename is acknowledged after its first key": Variant(
        replace(moving(STRANGER, watched=STRANGER), waits_for_both=False), STILL
    ),
    "a rename is taken up by its first key alone": Variant(
        replace(moving(STRANGER, watched=STRANGER), taken_up_whole=False), STILL_WITH_FAULT
    ),
    "a rename tells both keys in the order of the first one's copies": Variant(FIRST_KEYS_ORDER, RESIZE),
    "the new key's version is not above its own": Variant(
        moving(NEIGHBOUR, OLDER_LIFE, watched=NEIGHBOUR, first=USED_BEFORE, raised_above=frozenset({"key"})),
        TWO_STILL,
        early=True,
    ),
    "the new key's version is not above the old key's": Variant(
        moving(NEIGHBOUR, watched=NEIGHBOUR, first=YOUNG, raised_above=frozenset({"to"})), STILL, early=True
    ),
    "a rename does not lock the new key's row": Variant(
        moving(NEIGHBOUR, Write(key=NEIGHBOUR), watched=NEIGHBOUR, locked=frozenset({"key"})), TWO_STILL, early=True
    ),
    "a rename does not lock the old key's row": Variant(
        moving(NEIGHBOUR, Write(), watched=NEIGHBOUR, locked=frozenset({"to"})), TWO_STILL, early=True
    ),
}
