"""kill -9 of one process after the other while people read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from testing.client import NoAnswer
from testing.photographs import Photograph
from testing.reading import readers
from testing.system import System, is_alive, running
from testing.waiting import wait_for


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, few: tuple[Photograph, ...]) -> Iterator[System]:
    """A system of two nodes that holds the photographs."""
    with running(tmp_path_factory.mktemp("pair"), nodes=2) as system:
        for photograph in few:
            assert system.admin().put(photograph.name, photograph.body).status == 201
        yield system


def test_a_killed_node_fails_no_read_and_comes_back(pair: System, few: tuple[Photograph, ...]) -> None:
    victim = pair.node(1)
    with readers(pair.client(), few) as seen:
        seen.wait_for_more()
        pair.kill(victim)
        seen.wait_for_more()
        wait_for(lambda: is_alive(pair.node(1)), "node 1 is back")
        pair.wait_settled(2)
        seen.wait_for_more()
    assert not seen.failures
    assert pair.node(1).pid != victim.pid


def is_replaced(system: System, photograph: Photograph) -> bool:
    return system.admin().put(photograph.name, photograph.body).status == 200


def test_writes_go_on_when_a_node_was_killed(pair: System, few: tuple[Photograph, ...]) -> None:
    pair.kill(pair.node(0))
    # A write to a dead node's partitions may be refused for a moment, and is then safe to repeat.
    for photograph in few[:8]:
        wait_for(partial(is_replaced, pair, photograph), "written")
        assert pair.client().get(photograph.name).body == photograph.body
    pair.wait_settled(2)


def test_a_hung_node_fails_no_read_and_holds_up_writes_only_once(pair: System, few: tuple[Photograph, ...]) -> None:
    victim = pair.node(1)
    owned = [one for one in few if pair.admin().metadata(one.name).json["node"] == 1]
    assert len(owned) >= 2
    with readers(pair.client(), few) as seen:
        seen.wait_for_more()
        victim.suspend()
        seen.wait_for_more()
        for photograph in owned[:2]:
            wait_for(partial(is_replaced, pair, photograph), "written")
        wait_for(lambda: pair.node(1).pid != victim.pid, "it is replaced")
        pair.wait_settled(2)
        seen.wait_for_more()
    assert not seen.failures
    assert not is_alive(victim)


def test_a_killed_autoscaler_fails_no_read_and_adopts_its_nodes(pair: System, few: tuple[Photograph, ...]) -> None:
    (victim,) = pair.find("autoscaler")
    nodes = {pair.node(slot).pid for slot in (0, 1)}
    with readers(pair.client(), few) as seen:
        seen.wait_for_more()
        pair.kill(victim)
        seen.wait_for_more()
        pair.wait_settled(2)
        seen.wait_for_more()
    assert not seen.failures
    assert {pair.node(slot).pid for slot in (0, 1)} == nodes
    pair.scale(3)
    pair.scale(2)


def test_a_killed_manager_fails_no_read_and_comes_back(pair: System, few: tuple[Photograph, ...]) -> None:
    (victim,) = pair.find("manager")
    with readers(pair.client(), few) as seen:
        seen.wait_for_more()
        pair.kill(victim)
        seen.wait_for_more()
        wait_for(lambda: pair.client(app="manager").readyz() == 200, "the manager is back")
    assert not seen.failures


def test_hits_go_on_without_storage_and_misses_say_when_to_come_back(pair: System, few: tuple[Photograph, ...]) -> None:
    visitor = pair.client()
    hot, cold = few[:6], [f"cold/{number}" for number in range(10)]
    for key in cold:
        assert pair.admin().put(key, few[6].body).status == 201
    for photograph in hot:
        assert visitor.get(photograph.name).body == photograph.body

    def a_miss_is_refused() -> bool:
        # Storage may be back before the read: then it is killed again, and an image is read that no cache holds.
        for victim in pair.find("storage"):
            pair.kill(victim)
        key = cold.pop()
        answer = visitor.get(key)
        if answer.status == 200:
            return False
        assert answer.problem == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        wait_for(lambda: visitor.get(key).body == few[6].body, "the miss is answered again")
        return True

    with readers(visitor, hot) as seen:
        seen.wait_for_more()
        wait_for(a_miss_is_refused, "a miss while storage is down", seconds=60)
        seen.wait_for_more()
    assert not seen.failures
    assert set(seen.sources) <= {"HIT", "HIT-NEAR"}


def test_a_killed_web_is_back_soon(pair: System, few: tuple[Photograph, ...]) -> None:
    (victim,) = pair.find("web")
    pair.kill(victim)

    def answers() -> bool:
        try:
            return pair.client().get(few[0].name).body == few[0].body
        except NoAnswer:
            return False

    # Promised within 3 s, on a machine that has nothing else to do.
    wait_for(answers, "web answers again")
