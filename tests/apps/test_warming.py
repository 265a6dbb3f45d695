"""Warming: nodes over real HTTP pull what a resize brings them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import cast

import pytest
from testing.waiting import wait_for
from tests.apps.node_support import TOKEN, Node, Storage, entry, served_node

from elastic_images.core.assignment import Assignment, alternating
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Conflict, InvalidRequest
from elastic_images.core.fills import FillTicket
from elastic_images.core.partitions import partition_of
from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, first_map, open_resize
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.lean_client import LeanClient
from elastic_images.imaging.imaging import Priority
from elastic_images.memcache.fill_sources import PeerThenStorage
from elastic_images.memcache.warm.pull_thread import PullThread
from elastic_images.memcache.warm.sources import PullSources

BODY_BYTES = 2000
FAST = 10**9


def image(key: str) -> Entry:
    return entry(key, body=b"x" * BODY_BYTES)


SIZE_BYTES = image("key-000").size_bytes
KEYS = [f"key-{number:03d}" for number in range(200)]


def keys_of(*partitions: int) -> Iterator[str]:
    return (key for key in KEYS if partition_of(key) in partitions)


@contextmanager
def pool(folder: Path, assignment: Assignment, slots: int, *, places: int) -> Iterator[list[Node]]:
    """Nodes in the first slots, with room for so many entries each, under a settled map."""
    with ExitStack() as stack:
        nodes = []
        for slot in range(slots):
            made = served_node(Storage(), folder / str(slot), slot=slot, capacity_bytes=places * SIZE_BYTES)
            nodes.append(stack.enter_context(made))
        everybody_takes(nodes, first_map(assignment))
        yield nodes


def everybody_takes(nodes: Sequence[Node], pool_map: PoolMap) -> None:
    for node in nodes:
        node.obey(pool_map, *(one.member for one in nodes))


def use(node: Node, key: str, now: float) -> None:
    """Somebody reads `key` at that moment; it is put in where it is not there."""
    node.now[0] = now
    node.cache.renew_lease(now + 3.0)
    begun = node.cache.lookup_or_begin_fill(key)
    if isinstance(begun, FillTicket):
        node.cache.complete_fill(begun.fill, image(key))


def use_in_turn(node: Node, keys: Sequence[str], now: float) -> None:
    """Read `keys`, the first of them at that moment and one a second."""
    for number, key in enumerate(keys):
        use(node, key, now + number)


def at_the_same_moment(nodes: Sequence[Node], now: float) -> None:
    for node in nodes:
        node.now[0] = now
        node.cache.renew_lease(now + 3.0)


@contextmanager
def puller(node: Node, *, bytes_per_second: int = FAST) -> Iterator[PullThread]:
    client, http = LeanClient(TOKEN), InternalClient(TOKEN)
    made = PullThread(node.slot, node.cache, PullSources(client, http), bytes_per_second=bytes_per_second)
    made.start()
    yield made
    made.stop()
    client.close()
    http.close()


def pull(node: Node, *, bytes_per_second: int = FAST) -> PullThread:
    """Pull all that the node's view brings it."""
    with puller(node, bytes_per_second=bytes_per_second) as one:
        one.consider(node.view)
        wait_for(lambda: one.progress.done)
        return one


def held(node: Node) -> list[str]:
    """Its keys, the hottest first."""
    return [one.key for one, _ in node.cache.entries(frozenset(range(16)))]


def test_scale_in_keeps_the_hottest_entries_that_fit(tmp_path: Path) -> None:
    """I8: three nodes of 12 places become one; it has the 12 that were used last, in that order."""
    with pool(tmp_path, alternating(3), 3, places=12) as nodes:
        moments = count(100)
        uses = [key for number, key in enumerate(KEYS) if number % 6 == 0] + KEYS[30:60:2] + KEYS[:9:4]
        for key in uses:
            use(nodes[alternating(3)[partition_of(key)]], key, float(next(moments)))
        at_the_same_moment(nodes, 200.0)
        hottest = list(dict.fromkeys(reversed(uses)))[:12]
        before = {key for node in nodes for key in held(node)}
        assert set(hottest) <= before
        assert len(before) > 20

        everybody_takes(nodes, open_resize(first_map(alternating(3)), alternating(1)))
        pull(nodes[0])
        everybody_takes(nodes, close_resize(open_resize(first_map(alternating(3)), alternating(1))))

        assert held(nodes[0]) == hottest
        assert held(nodes[1]) == held(nodes[2]) == []


def test_renditions_move_with_their_images_and_are_not_made_again(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=40) as nodes:
        old, new = nodes
        moving = [key for key in KEYS if alternating(2)[partition_of(key)] == 1][:5]
        names = [rendition_name(key, spec) for key in moving for spec in (PRESETS["thumb"], RenditionSpec(99))]
        storage = cast("Storage", cast("PeerThenStorage", old.node._source)._storage)
        storage.entries |= {key: image(key) for key in moving}
        for name in names:
            old.node.read_or_make(name, Priority.STRANGER_RENDITION)
        assert len(old.imaging.made) == len(names)

        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        found = new.node.read_or_make(names[0], Priority.STRANGER_RENDITION)
        assert found.hit, "the previous owner has it"
        pull(new)

        assert set(names) <= set(held(new))
        assert all(new.node.read_or_make(name, Priority.STRANGER_RENDITION).hit for name in names)
        assert new.imaging.made == []
        hottest = held(new)[: len(names)]
        assert set(hottest) == set(names), "originals that nobody asked for are the coldest"
        assert new.cache.invalidate_keys(new.cache.incarnation, moving) == len(names) + len(moving)
        assert held(new) == []


def test_what_was_used_while_the_pull_went_on_is_hotter_than_all_that_is_pulled(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(2), 2, places=6) as nodes:
        mine, moving = list(keys_of(0)), list(keys_of(1))
        use_in_turn(nodes[0], mine[:6], 100.0)
        use_in_turn(nodes[1], moving[:6], 103.5)
        at_the_same_moment(nodes, 120.0)
        everybody_takes(nodes, open_resize(first_map(alternating(2)), alternating(1)))
        use(nodes[0], mine[0], 121.0)
        at_the_same_moment(nodes, 121.0)
        pull(nodes[0])
        ages = dict.fromkeys(moving[:6], 103.5)
        expected = {mine[0]: 121.0, **{key: 100.0 + n for n, key in enumerate(mine[:6]) if n}}
        expected |= {key: ages[key] + n for n, key in enumerate(moving[:6])}
        assert held(nodes[0]) == sorted(expected, key=lambda key: -expected[key])[:6]


def test_full_nodes_that_exchange_partitions_lose_next_to_nothing(tmp_path: Path) -> None:
    """What was handed over makes room for what comes: without that a third would be lost on the way."""
    halves: Assignment = (0, 0, 1, 1) * 4
    with pool(tmp_path, alternating(2), 2, places=40) as nodes:
        moments = count(100)
        for slot, node in enumerate(nodes):
            for partition in range(slot, 16, 2):
                for key in list(keys_of(partition))[:5]:
                    use(node, key, float(next(moments)))
        everything = {key for node in nodes for key in held(node)}
        assert [len(held(node)) for node in nodes] == [40, 40]
        at_the_same_moment(nodes, float(next(moments)))
        opened = open_resize(first_map(alternating(2)), halves)
        everybody_takes(nodes, opened)
        slow = 60 * BODY_BYTES
        with puller(nodes[0], bytes_per_second=slow) as one, puller(nodes[1], bytes_per_second=slow) as other:
            one.consider(nodes[0].view)
            other.consider(nodes[1].view)
            wait_for(lambda: one.progress.done and other.progress.done)
        everybody_takes(nodes, close_resize(opened))
        left = {key for node in nodes for key in held(node)}
        assert len(everything - left) <= 4


def test_an_abort_gives_the_previous_owner_back_what_it_has(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=10) as nodes:
        use_in_turn(nodes[0], KEYS[:10], 100.0)
        at_the_same_moment(nodes, 120.0)
        opened = open_resize(first_map(alternating(1)), alternating(2))
        everybody_takes(nodes, opened)
        pull(nodes[1])
        everybody_takes(nodes, abort_resize(opened))
        assert held(nodes[0]) == list(reversed(KEYS[:10]))
        assert held(nodes[1]) == []
        use(nodes[0], KEYS[50], 130.0)
        assert held(nodes[0])[-1] == KEYS[1], "nothing is spare any more: the coldest went"


def test_progress_is_told_and_what_was_given_away_is_counted(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=50) as nodes:
        use_in_turn(nodes[0], KEYS[:40], 100.0)
        at_the_same_moment(nodes, 150.0)
        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        moving = sum(partition_of(key) % 2 for key in KEYS[:40])
        figures = pull(nodes[1]).figures()
        assert figures == {"epoch": 2, "done": True, "keys": moving, "bytes": moving * BODY_BYTES}
        given = nodes[0].counters.read()
        assert (given["handed_over"], given["handed_over_bytes"]) == (moving, moving * BODY_BYTES)
        assert (given["hits"], given["misses"]) == (0, 0), "a pull is nobody's read"


def test_the_rate_is_kept(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=50) as nodes:
        use_in_turn(nodes[0], KEYS[:40], 100.0)
        at_the_same_moment(nodes, 150.0)
        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        moving = sum(partition_of(key) % 2 for key in KEYS[:40])
        began = time.monotonic()
        pull(nodes[1], bytes_per_second=40 * BODY_BYTES)
        assert time.monotonic() - began >= (moving - 1) / 40


def test_with_no_rate_nothing_is_pulled_and_nobody_waits(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=50) as nodes:
        use(nodes[0], next(keys_of(1)), 100.0)
        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        one = pull(nodes[1], bytes_per_second=0)
        assert one.figures() == {"epoch": 2, "done": True, "keys": 0, "bytes": 0}
        assert held(nodes[1]) == []


def test_a_pull_ends_with_its_map(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=100) as nodes:
        use_in_turn(nodes[0], KEYS[:100], 100.0)
        at_the_same_moment(nodes, 250.0)
        opened = open_resize(first_map(alternating(1)), alternating(2))
        everybody_takes(nodes, opened)
        with puller(nodes[1], bytes_per_second=20 * BODY_BYTES) as one:
            one.consider(nodes[1].view)
            wait_for(lambda: one.progress.keys > 0)
            everybody_takes(nodes, close_resize(opened))
            wait_for(lambda: one.progress.done)
            assert one.progress.keys < 20


def test_a_source_that_is_gone_ends_the_pull(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=50) as nodes:
        nodes[0].address = "127.0.0.1:1"
        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        assert pull(nodes[1]).figures() == {"epoch": 2, "done": True, "keys": 0, "bytes": 0}


def test_a_view_that_the_cache_has_not_obeyed_is_left_for_later(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=50) as nodes:
        use(nodes[0], next(keys_of(1)), 100.0)
        at_the_same_moment(nodes, 101.0)
        opened = open_resize(first_map(alternating(1)), alternating(2))
        nodes[0].obey(opened, *(one.member for one in nodes))
        with puller(nodes[1]) as one:
            one.consider(nodes[0].view)
            assert one.progress.epoch == 0
            nodes[1].obey(opened, *(one.member for one in nodes))
            one.consider(nodes[1].view)
            wait_for(lambda: one.progress.done)
            assert one.progress.keys == 1


def test_a_new_life_pulls_anew(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=50) as nodes:
        use(nodes[0], next(keys_of(1)), 100.0)
        at_the_same_moment(nodes, 101.0)
        opened = open_resize(first_map(alternating(1)), alternating(2))
        everybody_takes(nodes, opened)
        with puller(nodes[1]) as one:
            one.consider(nodes[1].view)
            wait_for(lambda: one.progress.done)
            one.consider(nodes[1].view)
            assert one.progress.keys == 1, "once for each map"
            nodes[1].cache.start_incarnation("f" * 32)
            everybody_takes(nodes, opened)
            one.consider(nodes[1].view)
            wait_for(lambda: one.progress.done)
            assert held(nodes[1]) == [next(keys_of(1))]


def test_what_the_new_owner_does_not_want_makes_room_for_what_the_old_one_gains(tmp_path: Path) -> None:
    """8 -> 7 in small: node 2 gets all of node 1's partitions and has no room for them; node 1 gets node 0's."""
    before: Assignment = (0, 1, 2, 2) * 4
    after: Assignment = (1, 2, 2, 2) * 4
    with pool(tmp_path, before, 3, places=20) as nodes:
        moments = count(100)
        for partition in (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14):
            for key in list(keys_of(partition))[:5]:
                use(nodes[before[partition]], key, float(next(moments)))
        held_before = [set(held(node)) for node in nodes]
        assert [len(keys) for keys in held_before] == [20, 20, 20]
        at_the_same_moment(nodes, float(next(moments)))
        opened = open_resize(first_map(before), after)
        everybody_takes(nodes, opened)
        with puller(nodes[1]) as one, puller(nodes[2]) as other:
            other.consider(nodes[2].view)
            wait_for(lambda: other.progress.done)
            assert other.progress.keys == 0, "all of node 2's own are hotter"
            began = time.monotonic()
            one.consider(nodes[1].view)
            wait_for(lambda: one.progress.done)
            assert time.monotonic() - began < 5
        everybody_takes(nodes, close_resize(opened))
        # The one at the cut may count as wanted: the clocks of these nodes stand still.
        assert len(held_before[0] - set(held(nodes[1]))) <= 1
        assert set(held(nodes[2])) == held_before[2]


def test_random_replacement_pulls_into_free_room_only(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=6) as nodes:
        for node in nodes:
            node.cache.configure(6 * SIZE_BYTES, "RR")
        for key in list(keys_of(0))[:2] + list(keys_of(1))[:4]:
            use(nodes[0], key, 100.0)
        opened = open_resize(first_map(alternating(1)), alternating(2))
        everybody_takes(nodes, opened)
        for key in list(keys_of(3))[:3]:
            use(nodes[1], key, 101.0)
        at_the_same_moment(nodes, 102.0)
        pull(nodes[1])
        assert len(held(nodes[1])) == 6
        assert set(held(nodes[1])) >= set(list(keys_of(3))[:3]), "nothing is evicted for what nobody asked for"


def test_who_declines_is_checked(tmp_path: Path) -> None:
    with pool(tmp_path, alternating(1), 2, places=6) as nodes:
        http, url = InternalClient(TOKEN), f"http://{nodes[0].address}/decline"
        good = {"incarnation": nodes[0].cache.incarnation, "partitions": [1], "older_than_seconds": 0.5}
        key = next(keys_of(1))
        use(nodes[0], key, 100.0)
        at_the_same_moment(nodes, 101.0)
        assert http.post_json(url, good) == {"let_go": 0}, "it is not leaving"
        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        assert http.post_json(url, {**good, "older_than_seconds": 1.5}) == {"let_go": 0}
        assert http.post_json(url, good) == {"let_go": 1}
        assert http.post_json(url, {**good, "partitions": [0]}) == {"let_go": 0}
        for wrong in ({"partitions": "1"}, {"partitions": ["1"]}, {"older_than_seconds": "x"}):
            with pytest.raises(InvalidRequest):
                http.post_json(url, {**good, **wrong})
        with pytest.raises(Conflict):
            http.post_json(url, {**good, "incarnation": "f" * 32})
        http.close()


@pytest.mark.parametrize("partition", [0, 1])
def test_only_the_new_owner_makes_an_entry_spare(tmp_path: Path, partition: int) -> None:
    with pool(tmp_path, alternating(1), 2, places=2) as nodes:
        first, second = list(keys_of(partition))[:2]
        use(nodes[0], first, 100.0)
        use(nodes[0], second, 101.0)
        everybody_takes(nodes, open_resize(first_map(alternating(1)), alternating(2)))
        nodes[0].cache.hand_over(second)
        use(nodes[0], next(keys_of(2)), 102.0)
        # Partition 1 moves away, so that the copy that was given can be spared; partition 0 stays.
        assert (second in held(nodes[0])) == (partition == 0)
