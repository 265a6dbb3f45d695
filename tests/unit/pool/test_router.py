from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import cast

import pytest
from tests.unit.pool.pools import node

from elastic_images.core.assignment import alternating
from elastic_images.core.errors import Unavailable
from elastic_images.core.pool_map import PoolMap, first_map, open_resize
from elastic_images.http.lean_client import LeanAnswer, LeanClient
from elastic_images.pool.circuit_breakers import OPEN_SECONDS, CircuitBreakers
from elastic_images.pool.hung_nodes import SILENCE_SECONDS, WAITING
from elastic_images.pool.router import RENDITION_SECONDS, PoolRouter
from elastic_images.pool.view import Member, PoolView

KEY = "k1"
"""In partition 11: node 0 of one, node 1 of two."""


class Nodes:
    """Stands for `LeanClient`: what each node answers, by its data address; one that is not named is down."""

    def __init__(self) -> None:
        self.status: dict[str, int] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.on_ask: Callable[[], None] = lambda: None

    def get(self, address: str, path: str, headers: Mapping[str, str], *, head: bool) -> LeanAnswer:  # noqa: ARG002
        self.asked.append((address, path, dict(headers)))
        self.on_ask()
        if address not in self.status:
            raise Unavailable("down")
        return LeanAnswer(self.status[address], {}, b"bytes")


class Setup:
    def __init__(self) -> None:
        self.view = view(first_map(alternating(1)), node(0), node(1))
        self.newer: PoolView | None = None
        self.refreshes = self.failures = 0
        self.now = 0.0
        self.nodes = Nodes()
        self.router = PoolRouter(
            lambda: self.view,
            self._refresh,
            cast(LeanClient, self.nodes),
            cast(LeanClient, self.nodes),
            on_failure=self._failed,
            clock=lambda: self.now,
        )

    def _refresh(self) -> PoolView:
        self.refreshes += 1
        if self.newer is not None:
            self.view = self.newer
        return self.view

    def _failed(self) -> None:
        self.failures += 1

    def get(self, key: str = KEY) -> tuple[int, int] | None:
        answered = self.router.fetch(key, {})
        return None if answered is None else (answered.status, answered.slot)

    def asked(self) -> list[str]:
        return [address for address, _, _ in self.nodes.asked]


def view(pool_map: PoolMap | None, *members: Member) -> PoolView:
    return PoolView(pool_map, members)


def test_the_owner_is_asked_by_its_incarnation() -> None:
    setup = Setup()
    setup.nodes.status["data-0:1"] = 200
    assert setup.get("a key/é") == (200, 0)
    assert setup.nodes.asked == [("data-0:1", "/images/a%20key/%C3%A9", {"X-Incarnation": node(0).incarnation})]
    assert setup.refreshes == 0
    assert setup.router.locate(KEY) == (11, 0)


@pytest.mark.parametrize("status", [200, 206, 304, 404, 412, 416, 500, 503])
def test_an_answer_of_any_other_status_is_the_owners(status: int) -> None:
    setup = Setup()
    setup.nodes.status["data-0:1"] = status
    assert setup.get() == (status, 0)


@pytest.mark.parametrize("status", [421, 409])
def test_who_refuses_is_believed_and_the_new_owner_is_asked(status: int) -> None:
    setup = Setup()
    setup.nodes.status |= {"data-0:1": status, "data-1:1": 200}
    setup.newer = view(PoolMap(2, first_map(alternating(2)).partitions), node(0), node(1))
    assert setup.get() == (200, 1)
    assert setup.asked() == ["data-0:1", "data-1:1"]


@pytest.mark.parametrize("status", [421, 409])
def test_after_two_refusals_storage_is_asked(status: int) -> None:
    setup = Setup()
    setup.nodes.status |= {"data-0:1": status}
    setup.newer = view(first_map(alternating(1)), node(0))
    assert setup.get() is None
    assert setup.asked() == ["data-0:1"] * 2
    assert setup.refreshes == 1


def test_without_a_newer_map_a_refusal_is_final() -> None:
    setup = Setup()
    setup.nodes.status |= {"data-0:1": 421}
    assert setup.get() is None
    assert setup.asked() == ["data-0:1"]


def test_who_did_not_answer_is_not_waited_for_twice() -> None:
    setup = Setup()
    setup.newer = view(first_map(alternating(1)), node(0), node(1))
    assert setup.get() is None
    assert setup.asked() == ["data-0:1"]
    assert setup.failures == 1


@pytest.mark.parametrize(
    "newer",
    [
        view(PoolMap(2, first_map(alternating(2)).partitions), node(0), node(1)),
        view(first_map(alternating(1)), node(0, "b")),
    ],
    ids=["another owner", "a new life of the owner"],
)
def test_the_next_owner_of_one_that_did_not_answer_is_asked(newer: PoolView) -> None:
    setup = Setup()
    setup.newer = newer
    setup.nodes.status["data-1:1"] = 200
    setup.nodes.on_ask = lambda: setup.nodes.status.update({"data-0:1": 200}) if setup.asked()[1:] else None
    answered = setup.get()
    assert answered is not None
    assert answered[0] == 200


@pytest.mark.parametrize("new_owner", [421, 409, None], ids=["not mine", "another life", "silent"])
def test_during_a_resize_the_previous_owner_answers_for_one_that_does_not_yet(new_owner: int | None) -> None:
    setup = Setup()
    setup.view = view(open_resize(first_map(alternating(1)), alternating(2)), node(0), node(1))
    setup.nodes.status["data-0:1"] = 200
    if new_owner is not None:
        setup.nodes.status["data-1:1"] = new_owner
    assert setup.get() == (200, 0)
    assert setup.asked() == ["data-1:1", "data-0:1"]


def test_a_previous_owner_that_does_not_answer_either_leaves_it_to_storage() -> None:
    setup = Setup()
    setup.view = view(open_resize(first_map(alternating(1)), alternating(2)), node(0), node(1))
    setup.nodes.status |= {"data-0:1": 421, "data-1:1": 421}
    assert setup.get() is None
    assert setup.asked() == ["data-1:1", "data-0:1"]


def test_who_fails_twice_is_left_alone_for_a_while() -> None:
    setup = Setup()
    for _ in range(5):
        assert setup.get() is None
    assert len(setup.nodes.asked) == 2
    setup.now += OPEN_SECONDS
    setup.nodes.status["data-0:1"] = 200
    assert setup.get() == (200, 0)
    assert setup.get() == (200, 0)


@pytest.mark.parametrize(
    "known",
    [view(None), view(first_map(alternating(1))), view(first_map(alternating(1)), node(1))],
    ids=["no map", "no members", "no owner"],
)
def test_without_a_pool_or_an_owner_storage_is_asked(known: PoolView) -> None:
    setup = Setup()
    setup.view = known
    assert setup.get() is None
    assert setup.asked() == []


def test_stale_bytes_are_asked_for_by_name_and_only_taken_whole() -> None:
    setup = Setup()
    setup.nodes.status["data-0:1"] = 200
    assert setup.router.fetch_stale(KEY) is not None
    assert setup.nodes.asked[0][2]["X-Stale"] == "1"
    setup.nodes.status["data-0:1"] = 404
    assert setup.router.fetch_stale(KEY) is None
    assert setup.router.locate(KEY)[1] == 0
    setup.view = view(None)
    assert setup.router.fetch_stale(KEY) is None
    assert setup.router.locate(KEY) == (11, None)


# --- the breaker alone


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try_at_a_time() -> None:
    time = Time()
    breakers = CircuitBreakers(time, failures=3, open_seconds=1.0)
    for _ in range(2):
        breakers.failed("a")
    assert breakers.allows("a")
    breakers.failed("a")
    assert not breakers.allows("a")
    assert breakers.allows("b"), "each name has its own"
    time.now = 0.999
    assert not breakers.allows("a")
    time.now = 1.0
    assert [breakers.allows("a") for _ in range(3)] == [True, False, False]
    breakers.failed("a")
    time.now = 1.999
    assert not breakers.allows("a")
    time.now = 2.0
    assert breakers.allows("a")
    breakers.succeeded("a")
    assert breakers.allows("a")
    breakers.failed("a")
    assert breakers.allows("a"), "a success forgets all failures"


def test_a_success_between_failures_keeps_a_breaker_closed() -> None:
    breakers = CircuitBreakers(Time(), failures=2)
    for _ in range(5):
        breakers.failed("a")
        breakers.succeeded("a")
    assert breakers.allows("a")


def test_who_tried_and_said_nothing_is_followed_by_another() -> None:
    time = Time()
    breakers = CircuitBreakers(time, failures=1, open_seconds=1.0)
    breakers.failed("a")
    time.now = 1.0
    assert breakers.allows("a")
    time.now = 2.0
    assert breakers.allows("a")


def test_a_node_that_has_gone_silent_holds_a_few_and_the_others_ask_storage() -> None:
    setup = Setup()
    setup.nodes.status["data-0:1"] = 200
    hang, asking = threading.Event(), threading.Semaphore(0)

    def be_hung() -> None:
        asking.release()
        hang.wait(60)

    setup.nodes.on_ask = be_hung
    held = [threading.Thread(target=setup.get) for _ in range(WAITING)]
    for thread in held:
        thread.start()
    for _ in held:
        assert asking.acquire(timeout=60)
    setup.now += SILENCE_SECONDS * 2
    tries = threading.Thread(target=setup.get)
    tries.start()
    assert asking.acquire(timeout=60)
    assert setup.get() is None
    assert len(setup.asked()) == WAITING + 1
    hang.set()
    for thread in (*held, tries):
        thread.join()
    assert setup.get() == (200, 0)


# --- renditions that are made

NAME = f"{KEY}\0w320"


def made(setup: Setup) -> tuple[int, int] | None:
    answered = setup.router.fetch_made(NAME, {"X-Make": "member"})
    return None if answered is None else (answered.status, answered.slot)


def test_who_makes_a_rendition_is_asked_by_a_path_that_older_nodes_do_not_have() -> None:
    setup = Setup()
    setup.nodes.status["data-0:1"] = 503
    assert made(setup) == (503, 0)
    sent = {"X-Incarnation": node(0).incarnation, "X-Make": "member"}
    assert setup.nodes.asked == [("data-0:1", "/renditions/k1%00w320", sent)]


@pytest.mark.parametrize("status", [421, 409])
def test_the_new_owner_makes_what_the_old_one_refuses(status: int) -> None:
    setup = Setup()
    setup.nodes.status |= {"data-0:1": status, "data-1:1": 200}
    setup.newer = view(PoolMap(2, first_map(alternating(2)).partitions), node(0), node(1))
    assert made(setup) == (200, 1)


def test_a_connection_that_breaks_leaves_it_to_storage_and_is_no_failure() -> None:
    setup = Setup()
    for _ in range(5):
        assert made(setup) is None
    assert setup.failures == 0, "what takes long says nothing about the node"
    setup.nodes.status["data-0:1"] = 200
    assert setup.get() == (200, 0)


def test_what_takes_longer_than_anybody_waits_is_not_begun_again_elsewhere() -> None:
    setup = Setup()

    def wait() -> None:
        setup.now += RENDITION_SECONDS

    setup.nodes.on_ask = wait
    with pytest.raises(Unavailable, match="It goes on"):
        made(setup)
    assert setup.asked() == ["data-0:1"]
    assert setup.failures == 0


def test_a_node_that_was_given_up_meanwhile_leaves_it_to_storage() -> None:
    setup = Setup()

    def wait() -> None:
        setup.now += RENDITION_SECONDS
        setup.view = view(first_map(alternating(1)))

    setup.nodes.on_ask = wait
    assert made(setup) is None
