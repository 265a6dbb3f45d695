from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from elastic_images.autoscaler.nodes.stats import NodeStats
from elastic_images.autoscaler.warming import BriefWarmer, PullWarmer
from elastic_images.core.assignment import alternating
from elastic_images.core.errors import Unavailable
from elastic_images.core.pool_document import NodeStatistics
from elastic_images.core.pool_map import first_map, open_resize
from elastic_images.pool.view import FENCED, Member, PoolView

OPEN = open_resize(first_map(alternating(1)), alternating(3))


def node(slot: int, epoch: int = OPEN.epoch) -> Member:
    return Member(f"incarnation-{slot}", f"node-{slot}", "node", "a:1", "a:2", epoch=epoch)


class Told(NodeStats):
    """Statistics as a test tells them."""

    def __init__(self) -> None:
        self.pulls: dict[str, Any] = {}

    def refresh(self, members: Iterable[Member], max_age_seconds: float) -> None:
        pass

    def latest(self, incarnation: str) -> NodeStatistics | None:
        return {"pull": self.pulls[incarnation]} if incarnation in self.pulls else None


def test_every_live_member_takes_the_open_map_before_it_is_closed() -> None:
    warmer = BriefWarmer(1.0)
    web = Member("w", "web-1", "web", "a:1", "", epoch=OPEN.epoch - 1)
    assert not warmer.warmed(PoolView(OPEN, (node(0), node(1, 1))), 0.5)
    assert not warmer.warmed(PoolView(OPEN, (node(0), node(1), web)), 0.5)
    assert warmer.warmed(PoolView(OPEN, (node(0), node(1))), 0.5)


def test_nobody_is_waited_for_long() -> None:
    assert BriefWarmer(1.0).warmed(PoolView(OPEN, (node(0, 1),)), 1.0)


def test_a_fenced_member_is_not_waited_for() -> None:
    fenced = Member("f", "node-1", "node", "a:1", "a:2", FENCED, 0)
    assert BriefWarmer().warmed(PoolView(OPEN, (node(0), fenced)), 0.0)


def test_new_owners_pull_before_the_resize_is_closed() -> None:
    told = Told()
    warmer = PullWarmer(told, max_seconds=60)
    view = PoolView(OPEN, (node(0), node(1), node(2)))
    assert not warmer.warmed(view, 2.0)
    told.pulls["incarnation-1"] = {"epoch": OPEN.epoch, "done": True}
    told.pulls["incarnation-2"] = {"epoch": OPEN.epoch, "done": False}
    assert not warmer.warmed(view, 2.0)
    told.pulls["incarnation-2"] = {"epoch": OPEN.epoch - 1, "done": True}
    assert not warmer.warmed(view, 2.0), "that was the pull of another resize"
    told.pulls["incarnation-2"] = {"epoch": OPEN.epoch, "done": True}
    assert warmer.warmed(view, 2.0)


def test_pulling_has_a_bound() -> None:
    assert PullWarmer(Told(), max_seconds=60).warmed(PoolView(OPEN, (node(1),)), 60.0)


def test_a_new_owner_that_died_is_not_waited_for() -> None:
    assert PullWarmer(Told()).warmed(PoolView(OPEN, (node(0),)), 2.0)


class TestNodeStats:
    def test_it_gives_what_each_node_says_and_none_for_who_does_not_answer(self) -> None:
        def read(member: Member) -> NodeStatistics:
            if member.slot == 1:
                raise Unavailable("down")
            return {"incarnation": member.incarnation, "items": 7}

        stats = NodeStats(read)
        found = stats.of([node(0), node(1)])
        assert found == {"incarnation-0": {"incarnation": "incarnation-0", "items": 7}, "incarnation-1": None}
        stats.close()

    def test_another_incarnation_at_the_address_is_no_answer(self) -> None:
        stats = NodeStats(lambda _member: {"incarnation": "somebody else"})
        assert stats.of([node(0)]) == {"incarnation-0": None}
        stats.close()

    @pytest.mark.parametrize(("seconds", "questions"), [(0.9, 1), (1.1, 2)])
    def test_what_is_fresh_is_not_asked_again(self, seconds: float, questions: int) -> None:
        now, asked = [0.0], []

        def read(member: Member) -> NodeStatistics:
            asked.append(member.slot)
            return {"incarnation": member.incarnation}

        stats = NodeStats(read, lambda: now[0])
        stats.of([node(0)], 1.0)
        now[0] += seconds
        stats.of([node(0)], 1.0)
        assert len(asked) == questions
        stats.close()

    def test_refreshing_does_not_wait(self) -> None:
        hold = threading.Event()

        def read(member: Member) -> NodeStatistics:
            hold.wait(60)
            return {"incarnation": member.incarnation}

        stats = NodeStats(read)
        stats.refresh([node(0)], 0.0)
        stats.refresh([node(0)], 0.0)
        assert stats.latest("incarnation-0") is None
        hold.set()
        assert stats.of([node(0)]) == {"incarnation-0": {"incarnation": "incarnation-0"}}
        stats.close()
