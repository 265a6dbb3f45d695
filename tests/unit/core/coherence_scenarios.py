"""Interleavings in which a cache that breaks one clause of the fill rule shows old bytes.

Each takes the class of cache to try and raises `StaleRead` where a read that starts after an acknowledged write gets
the bytes from before it. Version 1 is the old one, version 2 is what the write puts there.
"""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, first_map, open_resize, settle
from elastic_images.core.renditions import PRESETS, rendition_name

KEY = "k1"
"""In partition 11: node 0 of one, node 1 of two."""
THUMB = rendition_name(KEY, PRESETS["thumb"])
OLD, NEW = 1, 2
A, B = 0, 1
LEASE_SECONDS = 3.0

Scenario = Callable[[type[CoherentCache]], None]

ON_A = first_map(alternating(1))
OPEN_TO_B = open_resize(ON_A, alternating(2))
CLOSING_TO_B = close_resize(OPEN_TO_B)
ON_B = settle(CLOSING_TO_B)
BACK_ON_A = abort_resize(OPEN_TO_B)
ON_A_AGAIN = settle(BACK_ON_A)
OPEN_TO_B_AGAIN = open_resize(ON_A_AGAIN, alternating(2))
OPEN_TO_A = open_resize(ON_B, alternating(1))


class StaleRead(Exception):
    """A read got older bytes than a write that was acknowledged before it began, or soon will."""


class World:
    """Storage, and the caches of one test, by one clock."""

    def __init__(self, kind: type[CoherentCache]) -> None:
        self.stored = OLD
        self.now = 0.0
        self._kind = kind

    def node(self, slot: int | None, pool_map: PoolMap) -> CoherentCache:
        """A registered member with a lease; None is a near cache."""
        cache = self._kind(ByteCache(1_000_000), lambda: self.now, slot=slot)
        cache.start_incarnation("first")
        cache.take_map(pool_map)
        cache.renew_lease(self.now + LEASE_SECONDS)
        return cache

    def write(self, *told: CoherentCache) -> None:
        """The new version, acknowledged when all of these are told."""
        self.stored = NEW
        for cache in told:
            cache.invalidate_keys(cache.incarnation, [KEY])

    def from_storage(self) -> Entry:
        return entry(self.stored)


def entry(version: int, name: str = KEY) -> Entry:
    return Entry(
        name,
        b"x" * version,
        content_type="image/png",
        etag=f'"{version}"',
        version=version,
        updated_at=float(version),
        visibility="public",
        owner_id=None,
    )


def fill(cache: CoherentCache, name: str = KEY) -> Fill:
    """What a request gets that finds nothing: a fill of its own."""
    begun = cache.lookup_or_begin_fill(name)
    assert isinstance(begun, FillTicket), begun
    assert begun.leader
    return begun.fill


def keep(cache: CoherentCache, version: int) -> None:
    assert cache.complete_fill(fill(cache), entry(version))


def must_not_be_old(found: Entry | FillTicket | Refusal | None) -> None:
    if isinstance(found, Entry) and found.version == OLD:
        raise StaleRead("a read after the write found the old bytes")


def peer_bytes(cache: CoherentCache) -> Entry:
    """What another node gets for its fill: from this one's memory, else (with `stored`) it would ask storage."""
    found = cache.peek(KEY)
    assert isinstance(found, Entry)
    return found


# --- one node


def an_entry_is_dropped(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    keep(node, OLD)
    world.write(node)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


def a_fill_that_read_before_the_write_is_not_kept(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    one = fill(node)
    read = world.from_storage()
    world.write(node)
    node.complete_fill(one, read)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


def a_fill_of_nobody_that_read_before_the_write_is_not_kept(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    one = node.begin_pull_fill(KEY, ON_A.epoch)
    assert one is not None
    read = world.from_storage()
    world.write(node)
    node.complete_pull_fill(one, read, 0.0)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


def a_spoiled_fill_is_not_joined(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    one = fill(node)
    read = world.from_storage()
    world.write(node)
    later = node.lookup_or_begin_fill(KEY)
    node.complete_fill(one, read)
    if isinstance(later, FillTicket) and not later.leader:
        must_not_be_old(later.fill.wait(0))


def a_spoiled_fill_does_not_end_the_one_after_it(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    spoiled = fill(node)
    read = world.from_storage()
    world.write(node)
    after = fill(node)
    node.complete_fill(spoiled, read)
    joined = node.lookup_or_begin_fill(KEY)
    if not isinstance(joined, FillTicket) or joined.fill is not after:
        raise StaleRead("the fill that later reads join has left the table, where an invalidation would spoil it")


def an_invalidation_between_the_check_and_the_insertion_counts(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    one = fill(node)
    read = world.from_storage()
    # A cache whose check and insertion are one has no place where this could come in between.
    if hasattr(node, "between"):
        node.between = lambda: world.write(node)
    node.complete_fill(one, read)
    if world.stored == OLD:
        world.write(node)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


def a_dark_node_obeys_invalidations(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    keep(node, OLD)
    world.now += LEASE_SECONDS
    world.write(node)
    node.renew_lease(world.now + LEASE_SECONDS)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


# --- renditions


def a_rendition_is_dropped(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    assert node.complete_fill(fill(node, THUMB), entry(OLD, THUMB))
    world.write(node)
    must_not_be_old(node.lookup_or_begin_fill(THUMB))


def a_rendition_made_of_old_bytes_is_not_kept(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    making = fill(node, THUMB)
    read = world.from_storage()
    world.write(node)
    node.complete_fill(making, entry(read.version, THUMB))
    must_not_be_old(node.lookup_or_begin_fill(THUMB))


def an_original_read_for_a_rendition_before_the_write_is_not_kept(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    making, begun = fill(node, THUMB), node.original_or_begin_fill(KEY)
    assert isinstance(begun, FillTicket)
    read = world.from_storage()
    world.write(node)
    node.complete_fill(begun.fill, read)
    node.complete_fill(making, entry(read.version, THUMB))
    must_not_be_old(node.lookup_or_begin_fill(KEY))


# --- leases: the member could not be told, and was counted as dead when its lease must have been over


def a_dark_node_answers_nothing(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    keep(node, OLD)
    world.now += LEASE_SECONDS
    world.write()
    must_not_be_old(node.lookup_or_begin_fill(KEY))


def a_dark_near_cache_answers_nothing(kind: type[CoherentCache]) -> None:
    world = World(kind)
    near = world.node(None, ON_A)
    keep(near, OLD)
    world.now += LEASE_SECONDS
    world.write()
    must_not_be_old(near.lookup(KEY))


def a_dark_node_gives_its_peer_nothing(kind: type[CoherentCache]) -> None:
    world = World(kind)
    source, destination = world.node(A, ON_A), world.node(B, OPEN_TO_B)
    keep(source, OLD)
    world.now += LEASE_SECONDS
    destination.renew_lease(world.now + LEASE_SECONDS)
    world.write(destination)
    one = fill(destination)
    found = source.peek(KEY)
    destination.complete_fill(one, found if isinstance(found, Entry) else world.from_storage())
    must_not_be_old(destination.lookup_or_begin_fill(KEY))


def a_new_life_begins_empty(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    keep(node, OLD)
    world.now += LEASE_SECONDS
    world.write()
    node.start_incarnation("second")
    node.take_map(ON_A)
    node.renew_lease(world.now + LEASE_SECONDS)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


def a_new_life_keeps_no_fill_of_the_old_one(kind: type[CoherentCache]) -> None:
    world = World(kind)
    node = world.node(A, ON_A)
    one = fill(node)
    read = world.from_storage()
    world.now += LEASE_SECONDS
    world.write()
    node.start_incarnation("second")
    node.take_map(ON_A)
    node.renew_lease(world.now + LEASE_SECONDS)
    node.complete_fill(one, read)
    must_not_be_old(node.lookup_or_begin_fill(KEY))


# --- maps


def what_is_lost_is_not_answered(kind: type[CoherentCache]) -> None:
    world = World(kind)
    source = world.node(A, OPEN_TO_B)
    keep(source, OLD)
    source.take_map(CLOSING_TO_B)
    world.write()  # copies are [B] once A has named the epoch
    must_not_be_old(source.lookup_or_begin_fill(KEY))
    must_not_be_old(source.peek(KEY))


def what_is_lost_is_dropped(kind: type[CoherentCache]) -> None:
    world = World(kind)
    destination = world.node(B, OPEN_TO_B)
    keep(destination, OLD)
    destination.take_map(BACK_ON_A)
    world.write()  # copies are [A] once both have named the epoch
    destination.take_map(ON_A_AGAIN)
    destination.take_map(OPEN_TO_B_AGAIN)
    must_not_be_old(destination.lookup_or_begin_fill(KEY))


def a_fill_of_what_is_lost_is_not_kept(kind: type[CoherentCache]) -> None:
    world = World(kind)
    destination = world.node(B, OPEN_TO_B)
    one = fill(destination)
    read = world.from_storage()
    destination.take_map(BACK_ON_A)
    world.write()
    destination.take_map(ON_A_AGAIN)
    destination.take_map(OPEN_TO_B_AGAIN)
    destination.complete_fill(one, read)
    must_not_be_old(destination.lookup_or_begin_fill(KEY))


def an_older_map_is_not_obeyed(kind: type[CoherentCache]) -> None:
    world = World(kind)
    source = world.node(A, ON_A)
    source.take_map(CLOSING_TO_B)
    source.take_map(OPEN_TO_B)  # its answer was long on the way
    if isinstance(begun := source.lookup_or_begin_fill(KEY), FillTicket):
        source.complete_fill(begun.fill, world.from_storage())
    world.write()
    must_not_be_old(source.lookup_or_begin_fill(KEY))


def a_pull_asks_no_source_that_comes_after_it(kind: type[CoherentCache]) -> None:
    """Listed while B gained from A; A then gained from B, so that B is told first, and A still has the old bytes."""
    world = World(kind)
    first, second = world.node(A, OPEN_TO_B), world.node(B, OPEN_TO_B)
    listed_at = second.epoch
    for pool_map in (CLOSING_TO_B, ON_B, OPEN_TO_A):
        first.take_map(pool_map)
        second.take_map(pool_map)
    keep(first, OLD)
    world.write(second)
    one = second.begin_pull_fill(KEY, listed_at)
    if one is not None:
        second.complete_pull_fill(one, peer_bytes(first), 0.0)
    world.write(first)
    must_not_be_old(second.lookup_or_begin_fill(KEY))
