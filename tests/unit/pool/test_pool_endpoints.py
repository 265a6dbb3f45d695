"""Members and the pool, over real HTTP and a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testing.waiting import wait_for
from tests.unit.pool.pools import pool_store
from tests.unit.pool.raw_server import RawServer

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.errors import InvalidRequest, Unauthenticated
from elastic_images.core.fills import FillTicket
from elastic_images.core.pool_map import close_resize, first_map, open_resize
from elastic_images.http.base_app import base_app
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.lease_clock import lease_clock
from elastic_images.pool.life_lock import LifeLock, hold
from elastic_images.pool.member import PoolMember
from elastic_images.pool.member_routes import pool_blueprint
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import DEAD, FENCED, LIVE, PoolView
from elastic_images.process.server import serving

TOKEN = "secret"
ONE = first_map(alternating(1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PoolStore]:
    with pool_store(tmp_path) as made:
        yield made


@pytest.fixture
def url(store: PoolStore) -> Iterator[str]:
    app = base_app("pool", internal_token=TOKEN)
    app.register_blueprint(pool_blueprint(store))
    with serving(app.wsgi_app) as bound:
        yield f"http://{bound.address}"


@pytest.fixture
def client() -> Iterator[InternalClient]:
    made = InternalClient(TOKEN)
    yield made
    made.close()


class Node:
    """A member that polls, and what it has seen."""

    def __init__(self, client: InternalClient, *urls: str) -> None:
        self.cache = CoherentCache(ByteCache(1_000_000), lease_clock, slot=0)
        self.views: list[PoolView] = []
        self.member = PoolMember(client, urls, self.cache, member_id="node-0", kind="node", on_view=self.views.append)


@pytest.fixture
def start(client: InternalClient, url: str) -> Iterator[Callable[..., Node]]:
    started: list[Node] = []

    def make(*urls: str, life: LifeLock | None = None) -> Node:
        made = Node(client, *(urls or (url,)))
        made.member.start("127.0.0.1:1", "127.0.0.1:2", life=life)
        started.append(made)
        return made

    yield make
    for made in started:
        made.member.stop()


# --- a member that polls


def test_a_member_registers_gets_a_lease_and_names_the_map(store: PoolStore, start: Callable[..., Node]) -> None:
    store.compare_and_set_map(None, ONE)
    made = start()
    wait_for(lambda: not made.cache.dark)
    member = store.read().find(made.cache.incarnation)
    assert member is not None
    assert (member.id, member.address, member.data_address) == ("node-0", "127.0.0.1:1", "127.0.0.1:2")
    wait_for(lambda: _named(store, made) == 1)
    opened = open_resize(ONE, alternating(2))
    store.compare_and_set_map(1, opened)
    wait_for(lambda: _named(store, made) == 2)
    store.compare_and_set_map(2, close_resize(opened))
    wait_for(lambda: _named(store, made) == 3)
    assert [view.map.epoch for view in made.views if view.map][-1] == 3


def test_a_member_that_stops_is_dead_at_once(store: PoolStore, start: Callable[..., Node]) -> None:
    made = start()
    wait_for(lambda: not made.cache.dark)
    made.member.stop()
    assert made.cache.dark
    assert store.state_of(made.cache.incarnation) == DEAD
    assert store.read().members == ()


def _named(store: PoolStore, made: Node) -> int:
    member = store.read().find(made.cache.incarnation)
    return member.epoch if member else 0


def test_a_member_that_is_fenced_comes_back_as_another_and_empty(store: PoolStore, start: Callable[..., Node]) -> None:
    store.compare_and_set_map(None, ONE)
    made = start()
    wait_for(lambda: not made.cache.dark)
    first = made.cache.incarnation
    begun = made.cache.lookup_or_begin_fill("k1")
    assert isinstance(begun, FillTicket)
    store.fence(first)
    wait_for(lambda: made.cache.incarnation != first and not made.cache.dark)
    assert begun.fill.spoiled
    assert store.state_of(first) == "dead", "it cleared, and says so"
    assert store.state_of(made.cache.incarnation) == LIVE
    assert [member.incarnation for member in store.read().incarnations(0)] == [made.cache.incarnation]


def test_a_member_goes_on_at_another_address(store: PoolStore, url: str, start: Callable[..., Node]) -> None:
    store.compare_and_set_map(None, ONE)
    with RawServer(lambda _connection, _number: None) as broken:
        made = start("http://127.0.0.1:1", f"http://{broken.address}", url)
        wait_for(lambda: not made.cache.dark)
        assert made.cache.epoch == 1


def test_a_change_of_the_pool_is_seen_at_once(store: PoolStore, start: Callable[..., Node]) -> None:
    store.compare_and_set_map(None, ONE)
    made = start()
    wait_for(lambda: len(made.views) > 0 and made.views[-1].map is not None)
    for number in range(5):
        store.set_config({"cache_mb": number + 1, "policy": "LRU"})
        wait_for(lambda: made.views[-1].config.get("cache_mb") == number + 1)  # noqa: B023 - called at once


def test_a_guest_learns_the_map_and_is_no_member(store: PoolStore, client: InternalClient, url: str) -> None:
    store.compare_and_set_map(None, ONE)
    guest = PoolMember(client, [url])
    guest.start("")
    wait_for(lambda: guest.view.map == ONE)
    guest.stop()
    assert store.read().members == ()


def test_a_refresh_asks_now(store: PoolStore, client: InternalClient, url: str) -> None:
    guest = PoolMember(client, [url])
    assert guest.refresh().map is None
    store.compare_and_set_map(None, ONE)
    wait_for(lambda: guest.refresh().map == ONE)


# --- the calls themselves


def register(client: InternalClient, url: str, **changes: Any) -> Any:
    member = {"incarnation": "a" * 32, "id": "node-0", "kind": "node", "address": "a:1", "data_address": "a:2"}
    return client.post_json(f"{url}/internal/pool/register", {"member": member | changes})


def poll(client: InternalClient, url: str, **body: Any) -> Any:
    asked = {"incarnation": None, "epoch": 0, "stamp": "", "wait": 0}
    return client.post_json(f"{url}/internal/pool/poll", asked | body)


def test_a_registration_is_answered_with_the_pool(store: PoolStore, client: InternalClient, url: str) -> None:
    store.compare_and_set_map(None, ONE)
    answer = register(client, url)
    assert answer["state"] == LIVE
    assert PoolView.from_json(answer) == store.read()


@pytest.mark.parametrize(
    "changes",
    [{"kind": "storage"}, {"incarnation": "short"}, {"incarnation": 7}, {"id": "node-x"}, {"id": 7}, {"colour": "red"}],
    ids=str,
)
def test_a_registration_that_makes_no_sense_is_refused(
    store: PoolStore, client: InternalClient, url: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        register(client, url, **changes)
    assert store.read().members == ()


@pytest.mark.parametrize("replaces", [True, "a", [1], ["a"] * 17], ids=str)
def test_what_a_registration_replaces_is_a_short_list(client: InternalClient, url: str, replaces: object) -> None:
    member = {"incarnation": "a" * 32, "id": "node-0", "kind": "node", "address": "a:1", "data_address": "a:2"}
    with pytest.raises(InvalidRequest):
        client.post_json(f"{url}/internal/pool/register", {"member": member, "replaces": replaces})


def test_two_machines_with_a_node_of_the_same_slot_do_not_bury_each_other(
    store: PoolStore, start: Callable[..., Node], tmp_path: Path
) -> None:
    store.compare_and_set_map(None, ONE)
    with hold(tmp_path / "one" / "slot-0.lock") as one, hold(tmp_path / "another" / "slot-0.lock") as another:
        made = [start(life=one), start(life=another)]
        wait_for(lambda: not any(node.cache.dark for node in made))
        assert [store.state_of(node.cache.incarnation) for node in made] == [LIVE, LIVE]


def test_a_process_that_takes_over_the_lock_buries_its_predecessor(
    store: PoolStore, start: Callable[..., Node], tmp_path: Path
) -> None:
    store.compare_and_set_map(None, ONE)
    with hold(tmp_path / "slot-0.lock") as life:
        first = start(life=life)
        wait_for(lambda: not first.cache.dark)
        first.member.stop()
    with hold(tmp_path / "slot-0.lock") as life:
        second = start(life=life)
        wait_for(lambda: not second.cache.dark)
    assert store.state_of(first.cache.incarnation) == "dead"


def test_a_poll_names_the_state(store: PoolStore, client: InternalClient, url: str) -> None:
    assert poll(client, url)["state"] == "guest"
    assert poll(client, url, incarnation="b" * 32)["state"] == "unknown"
    register(client, url)
    assert poll(client, url, incarnation="a" * 32)["state"] == LIVE
    store.fence("a" * 32)
    assert poll(client, url, incarnation="a" * 32)["state"] == FENCED
    store.mark_dead("a" * 32)
    assert poll(client, url, incarnation="a" * 32)["state"] == "dead"


def test_who_is_fenced_during_a_long_poll_is_told_so(store: PoolStore, client: InternalClient, url: str) -> None:
    register(client, url)
    stamp = store.stamp()
    fence = threading.Timer(0.1, store.fence, ("a" * 32,))
    fence.start()
    answer = poll(client, url, incarnation="a" * 32, stamp=stamp, wait=2)
    fence.join()
    assert answer["state"] == FENCED, "the state is read after the waiting"


def test_a_poll_with_the_current_stamp_waits_no_longer_than_asked(
    store: PoolStore, client: InternalClient, url: str
) -> None:
    answer = poll(client, url, stamp=store.stamp(), wait=0.05)
    assert answer["stamp"] == store.stamp()


@pytest.mark.parametrize("wait", [-1, 2.1, "1", None, float("inf")], ids=str)
def test_a_wait_that_makes_no_sense_is_refused(client: InternalClient, url: str, wait: object) -> None:
    with pytest.raises(InvalidRequest):
        poll(client, url, wait=wait)


def test_without_the_token_the_pool_tells_nothing(store: PoolStore, url: str) -> None:
    stranger = InternalClient("wrong")
    with pytest.raises(Unauthenticated):
        poll(stranger, url)
    with pytest.raises(Unauthenticated):
        register(stranger, url)
    stranger.close()
    assert store.read().members == ()


def test_an_epoch_is_named_by_a_poll_and_never_goes_back(store: PoolStore, client: InternalClient, url: str) -> None:
    register(client, url)
    for epoch, named in ((3, 3), (2, 3), ("9", 3), (-1, 3), (4, 4)):
        poll(client, url, incarnation="a" * 32, epoch=epoch)
        member = store.read().find("a" * 32)
        assert member is not None
        assert member.epoch == named
