from __future__ import annotations

from elastic_images.autoscaler.fencing_policy import FencingDecision, FencingPolicy
from elastic_images.pool.view import FENCED, LIVE, Member


def node(slot: int, epoch: int, state: str = LIVE) -> Member:
    return Member(f"incarnation-{slot}", f"node-{slot}", "node", "a:1", "a:2", state, epoch)


def judge(
    patience: FencingPolicy, *members: Member, now: float, epoch: int = 5, suspects: tuple[str, ...] = ()
) -> FencingDecision:
    return patience.judge(members, epoch=epoch, must_name={0, 1}, suspects=suspects, now=now)


def test_who_does_not_name_the_epoch_for_a_second_is_fenced() -> None:
    patience, late = FencingPolicy(), node(0, 4)
    assert judge(patience, late, node(1, 5), now=10.0) == FencingDecision()
    assert judge(patience, late, now=10.9) == FencingDecision()
    assert judge(patience, late, now=11.0) == FencingDecision(fence=(late,))


def test_each_epoch_has_a_second_of_its_own() -> None:
    patience = FencingPolicy()
    judge(patience, node(0, 4), now=10.0)
    assert judge(patience, node(0, 5), now=11.0, epoch=6) == FencingDecision()
    assert judge(patience, node(0, 5), now=12.0, epoch=6).fence


def test_who_is_not_waited_for_is_left_alone() -> None:
    patience, other = FencingPolicy(), node(7, 0)
    for now in (0.0, 100.0):
        assert judge(patience, other, now=now) == FencingDecision()


def test_a_fenced_member_is_dead_three_and_a_half_seconds_after_it_was_seen_so() -> None:
    patience, fenced = FencingPolicy(), node(0, 4, FENCED)
    assert judge(patience, fenced, now=50.0) == FencingDecision()
    assert judge(patience, fenced, now=53.4) == FencingDecision()
    assert judge(patience, fenced, now=53.5) == FencingDecision(dead=(fenced,))


def test_the_time_counts_from_when_it_was_fenced_not_from_when_it_was_late() -> None:
    patience = FencingPolicy()
    judge(patience, node(0, 4), now=0.0)
    assert judge(patience, node(0, 4, FENCED), now=100.0) == FencingDecision()


def test_a_suspect_is_fenced_whatever_the_map_is() -> None:
    patience, silent = FencingPolicy(), node(7, 5)
    assert judge(patience, silent, now=0.0, suspects=("incarnation-7",)) == FencingDecision(fence=(silent,))


def test_web_processes_are_none_of_its_business() -> None:
    patience = FencingPolicy()
    web = Member("incarnation-w", "web-1", "web", "a:1", "", FENCED, 0)
    for now in (0.0, 100.0):
        assert judge(patience, web, now=now) == FencingDecision()


def test_a_fenced_member_is_gone_for_readers_when_it_did_not_come_back_at_once() -> None:
    patience, fenced = FencingPolicy(), node(0, 4, FENCED)
    judge(patience, fenced, now=50.0)
    assert patience.gone() == frozenset()
    judge(patience, fenced, now=50.5)
    assert patience.gone() == {"incarnation-0"}
    judge(patience, node(0, 4), now=50.6)
    assert patience.gone() == frozenset()
