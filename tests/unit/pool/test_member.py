"""A member's life, step by step, on a pool that answers as each test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testing.clock import Clock
from tests.unit.pool.scripted_pool import Body, ScriptedPool, answer, map_at

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, Unauthenticated, Unavailable
from elastic_images.core.fills import FillTicket
from elastic_images.core.pool_map import PoolMap
from elastic_images.pool.life_lock import hold
from elastic_images.pool.member import MAX_STAND_BACK_SECONDS, STAND_BACK_SECONDS, PoolMember
from elastic_images.pool.view import DEAD, DEAD_AFTER_SECONDS, FENCED, LEASE_SECONDS, LIVE, PollAnswer, PoolView

STORAGE, AUTOSCALER = "http://storage", "http://autoscaler"


class Setup:
    """A node's member in slot 0 whose rounds the test calls itself."""

    kind: type[PoolMember] = PoolMember

    def __init__(
        self,
        urls: tuple[str, ...] = (STORAGE, AUTOSCALER),
        register_urls: tuple[str, ...] | None = None,
        kind: str = "node",
    ) -> None:
        self.clock = Clock(100.0)
        self.cache = CoherentCache(ByteCache(1_000_000), self.clock, slot=0)
        self.reply: Callable[[str, str, Body], Body] = lambda _url, _call, _body: answer(map_at(1))
        self.pool = ScriptedPool(self._answer)
        self.seen: list[PoolView] = []
        self.member = self.kind(
            self.pool.as_http(),
            urls,
            self.cache,
            register_urls=register_urls,
            member_id=f"{kind}-0",
            kind=kind,
            clock=self.clock,
            on_view=self.seen.append,
        )

    def _answer(self, url: str, call: str, body: Body) -> Body:
        return self.reply(url, call, body)

    def register(self, pool_map: PoolMap | None) -> None:
        self.reply = lambda _url, _call, _body: answer(pool_map)
        self.member._register()

    def poll(self, given: Body) -> None:
        self.reply = lambda _url, _call, _body: given
        self.member._poll()

    def keep(self, key: str) -> None:
        begun = self.cache.lookup_or_begin_fill(key)
        assert isinstance(begun, FillTicket)
        entry = Entry(
            key,
            b"bytes",
            content_type="image/png",
            etag='"e"',
            version=1,
            updated_at=0.0,
            visibility="public",
            owner_id=None,
        )
        assert self.cache.complete_fill(begun.fill, entry)


def test_the_lease_counts_from_when_the_poll_was_sent() -> None:
    setup = Setup()
    sent = setup.clock.now

    def slow(_url: str, _call: str, _body: Body) -> Body:
        setup.clock.now += 1.4
        return answer(map_at(1))

    setup.reply = slow
    setup.member._register()
    setup.clock.now = sent + LEASE_SECONDS - 0.01
    assert not setup.cache.dark
    setup.clock.now = sent + LEASE_SECONDS
    assert setup.cache.dark

    sent = setup.clock.now
    setup.member._poll()
    setup.clock.now = sent + LEASE_SECONDS - 0.01
    assert not setup.cache.dark
    setup.clock.now = sent + LEASE_SECONDS
    assert setup.cache.dark


def test_an_answer_that_took_longer_than_the_lease_gives_none() -> None:
    setup = Setup()

    def too_slow(_url: str, _call: str, _body: Body) -> Body:
        setup.clock.now += LEASE_SECONDS
        return answer(map_at(1))

    setup.reply = too_slow
    setup.member._register()
    assert setup.cache.dark


def test_the_map_is_taken_before_the_lease_is_renewed() -> None:
    setup = Setup()
    order: list[str] = []
    take_map, renew = setup.cache.take_map, setup.cache.renew_lease

    def taken(pool_map: PoolMap | None) -> None:
        order.append("map")
        take_map(pool_map)

    def renewed(until: float) -> None:
        order.append("lease")
        renew(until)

    setup.cache.take_map, setup.cache.renew_lease = taken, renewed  # type: ignore[method-assign]
    setup.register(map_at(1))
    setup.poll(answer(map_at(2), stamp="2"))
    assert order == ["map", "lease"] * 2


def test_a_poll_names_the_epoch_that_was_taken_and_the_stamp_that_was_obeyed() -> None:
    setup = Setup()
    setup.register(map_at(3))
    setup.poll(answer(map_at(4), stamp="7"))
    setup.poll(answer(map_at(4), stamp="7"))
    _, call, body = setup.pool.calls[-1]
    assert call == "poll"
    assert (body["epoch"], body["stamp"], body["incarnation"]) == (4, "7", setup.cache.incarnation)


def test_an_older_map_is_not_taken_and_renews_no_lease() -> None:
    setup = Setup()
    setup.register(map_at(5))
    setup.clock.now += LEASE_SECONDS - 0.1
    setup.poll(answer(map_at(4), stamp="old"))
    assert setup.cache.epoch == 5
    assert setup.member.view.map == map_at(5)
    setup.clock.now += 0.1
    assert setup.cache.dark


@pytest.mark.parametrize("state", [FENCED, DEAD, "unknown"])
def test_a_member_that_is_not_live_clears_and_registers_anew(state: str) -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.keep("k")
    first = setup.cache.incarnation
    lease_ends = setup.clock.now + LEASE_SECONDS
    setup.clock.now += 1.0
    setup.poll(answer(map_at(1), state=state))
    setup.clock.now = lease_ends
    assert setup.cache.dark, "an answer that is not live renews nothing"

    setup.register(map_at(1))
    _, call, body = setup.pool.calls[-1]
    assert call == "register"
    assert body["replaces"] == [first], "it has cleared, so that life is over"
    assert body["member"]["incarnation"] == setup.cache.incarnation != first
    assert body["member"]["epoch"] == 0, "a new life has dropped for no map yet"
    assert setup.cache.peek("k") is None, "nothing of the old life may be kept"


def test_a_member_that_stops_is_dark_and_empty_before_it_says_so() -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.keep("k1")
    heard = []

    def reply(url: str, call: str, body: Body) -> Body:
        heard.append((url, call, setup.cache.dark, setup.cache.statistics()["items"]))
        assert body == {"incarnation": setup.cache.incarnation}
        if url == STORAGE:
            raise Unavailable("It is down.")
        return answer(None, state=DEAD)

    setup.reply = reply
    setup.member.stop()
    assert heard == [(STORAGE, "leave", True, 0), (AUTOSCALER, "leave", True, 0)]
    setup.cache.renew_lease(setup.clock.now + LEASE_SECONDS)
    assert setup.cache.dark, "an answer that comes late changes nothing"
    assert setup.cache.invalidate_keys(setup.cache.incarnation, ["k1"]) == 0, "it still obeys"


def test_a_member_that_leaves_says_so_until_it_is_heard_obeys_meanwhile_and_goes_on_as_a_guest() -> None:
    # A writer waits up to 8.5 s for a member that is gone without a word, and two in a row may not be heard.
    setup = Setup(kind="web")
    setup.register(map_at(1))
    setup.keep("k1")
    life = setup.cache.incarnation
    heard: list[Body] = []

    def busy(_url: str, call: str, body: Body) -> Body:
        if call == "leave":
            heard.append(body)
            assert setup.cache.dark
            assert setup.cache.statistics()["items"] == 0
            assert setup.cache.invalidate_keys(life, ["k1"]) == 0, "writers still notify it"
            if len(heard) < 5:
                raise Unavailable("no answer in time")
            return answer(None, state=DEAD)
        if heard:
            setup.member._stopping.set()
        return answer(map_at(2), state=LIVE if body["incarnation"] else "guest")

    setup.reply = busy
    setup.member._stopping.wait = lambda _seconds=None: False  # type: ignore[method-assign, assignment]
    setup.member._thread.start()
    setup.member.leave()
    setup.member._thread.join()
    assert heard == [{"incarnation": life}] * 5
    _, call, body = setup.pool.calls[-1]
    assert (call, body["incarnation"]) == ("poll", None)
    assert setup.member.view.map is not None
    assert setup.member.view.map.epoch == 2, "it still learns where to read"
    setup.member.stop()
    assert len(heard) == 5
    assert setup.cache.dark


def test_leaving_does_not_outlast_stopping() -> None:
    setup = Setup()
    setup.register(map_at(1))

    def down(_url: str, _call: str, _body: Body) -> Body:
        raise Unavailable("down")

    setup.reply = down
    setup.member._thread.start()
    leaving = threading.Thread(target=setup.member.leave)
    leaving.start()
    setup.member.stop()
    leaving.join()
    assert [call for _, call, _ in setup.pool.calls[-2:]] == ["leave", "leave"]


def test_a_member_that_never_registered_leaves_nothing() -> None:
    setup = Setup()
    setup.member.stop()
    assert setup.pool.calls == []


def test_a_new_life_is_dark_and_refuses_the_old_name_before_it_is_registered() -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.keep("k")

    def nobody(_url: str, _call: str, _body: Body) -> Body:
        assert setup.cache.dark
        raise Unavailable("no answer")

    setup.reply = nobody
    with pytest.raises(Unavailable):
        setup.member._register()
    assert setup.cache.dark
    assert setup.cache.statistics()["items"] == 0


def test_a_registration_without_an_answer_is_repeated_and_writers_reach_it_meanwhile() -> None:
    setup = Setup()
    tried: list[str] = []

    def lost(_url: str, _call: str, body: Body) -> Body:
        tried.append(body["member"]["incarnation"])
        raise Unavailable("the answer was lost")

    setup.reply = lost
    for _ in range(3):
        with pytest.raises(Unavailable):
            setup.member._register()
        assert setup.cache.dark
        assert setup.cache.invalidate_keys(tried[0], ["k"]) == 0, "otherwise a writer would wait for its death"
    setup.register(map_at(1))
    _, _, body = setup.pool.calls[-1]
    assert {*tried, body["member"]["incarnation"]} == {tried[0]}
    assert body["replaces"] == []
    assert not setup.cache.dark


def test_a_registration_that_was_fenced_before_its_answer_is_over() -> None:
    setup = Setup()

    def lost(_url: str, _call: str, _body: Body) -> Body:
        raise Unavailable("the answer was lost")

    setup.reply = lost
    with pytest.raises(Unavailable):
        setup.member._register()
    first = setup.cache.incarnation
    setup.reply = lambda _url, _call, _body: answer(map_at(1), state=FENCED)
    setup.member._register()
    assert setup.cache.dark
    setup.register(map_at(1))
    _, _, body = setup.pool.calls[-1]
    assert body["replaces"] == [first]
    assert setup.cache.incarnation != first


def test_a_member_tells_of_the_lives_noted_under_its_lock_and_notes_its_own_first(tmp_path: Path) -> None:
    path = tmp_path / "slot-0.lock"
    with hold(path) as earlier:
        earlier.note(["a" * 32])
    setup = Setup()
    with hold(path) as life:
        setup.member._life, setup.member._former = life, life.former
        noted: list[list[str]] = []

        def registering(_url: str, _call: str, _body: Body) -> Body:
            noted.append(json.loads(path.read_text())["incarnations"])
            return answer(map_at(1))

        setup.reply = registering
        setup.member._register()
        _, _, body = setup.pool.calls[-1]
        assert body["replaces"] == ["a" * 32]
        assert noted == [["a" * 32, setup.cache.incarnation]], "noted before it could be registered"


def test_an_address_that_fails_is_passed_over_and_the_next_poll_does_not_wait() -> None:
    setup = Setup()
    setup.register(map_at(1))

    def storage_is_down(url: str, _call: str, _body: Body) -> Body:
        if url == STORAGE:
            raise Unavailable("down")
        setup.member._stopping.set()
        return answer(map_at(2), stamp="2")

    setup.reply = storage_is_down
    setup.member._run()
    failed, answered = setup.pool.calls[-2:]
    assert (failed[0], answered[0]) == (STORAGE, AUTOSCALER)
    assert failed[2]["wait"] == 1.0
    assert answered[2]["wait"] == 0.0
    assert setup.cache.epoch == 2
    setup.poll(answer(map_at(2), stamp="2"))
    assert setup.pool.calls[-1][0] == AUTOSCALER, "who answered last is asked again"
    assert setup.pool.calls[-1][2]["wait"] == 1.0


def test_two_threads_that_meet_the_same_failure_go_one_address_on() -> None:
    setup = Setup()
    setup.register(map_at(1))
    both = threading.Barrier(2)

    def down(url: str, _call: str, _body: Body) -> Body:
        if url == STORAGE:
            both.wait(60)
            raise Unavailable("down")
        return answer(map_at(1))

    setup.reply = down

    def poll_in_vain() -> None:
        with pytest.raises(Unavailable):
            setup.member._poll()

    poll = threading.Thread(target=poll_in_vain)
    poll.start()
    setup.member.refresh()
    poll.join()
    setup.poll(answer(map_at(1)))
    assert setup.pool.calls[-1][0] == AUTOSCALER


def test_the_only_address_is_asked_again_and_again() -> None:
    setup = Setup(urls=(STORAGE,))

    def down(_url: str, _call: str, _body: Body) -> Body:
        raise Unavailable("down")

    setup.reply = down
    for _ in range(3):
        setup.member.refresh()
        setup.clock.now += 1.0
    assert [call[0] for call in setup.pool.calls] == [STORAGE] * 3


def test_whatever_an_answer_is_the_thread_goes_on() -> None:
    setup = Setup()
    answers: Iterator[Body] = iter([{"state": LIVE}, {"state": LIVE, "map": 7}, answer(map_at(9), stamp="9")])

    def garbage(_url: str, _call: str, _body: Body) -> Body:
        given = next(answers)
        if "stamp" in given:
            setup.member._stopping.set()
        return given

    setup.reply = garbage
    setup.member._stopping.wait = lambda _seconds=None: False  # type: ignore[method-assign, assignment]
    setup.member._run()
    assert setup.cache.epoch == 9


# --- who is fenced although it holds a lease: others cannot reach it


def rounds(setup: Setup, seconds: float) -> None:
    """Let its thread go on for so long by its clock."""
    ends = setup.clock.now + seconds

    def wait(pause: float = 0.0) -> bool:
        setup.clock.now += pause
        if setup.clock.now >= ends:
            setup.member._stopping.set()
        return setup.member._stopping.is_set()

    setup.member._stopping.clear()
    setup.member._stopping.wait = wait  # type: ignore[method-assign, assignment]
    setup.member._run()


def fenced_and_back(setup: Setup) -> float:
    """How long it stays away when it is fenced now."""
    setup.poll(answer(map_at(1), state=FENCED))
    registered: list[float] = []

    def note(_url: str, call: str, _body: Body) -> Body:
        if call == "register":
            registered.append(setup.clock.now)
            setup.member._stopping.set()
        return answer(map_at(1))

    before, setup.reply = setup.clock.now, note
    rounds(setup, 1000.0)
    return registered[0] - before


def test_who_is_fenced_while_it_holds_a_lease_stays_away_until_it_is_given_up() -> None:
    setup = Setup()
    setup.register(map_at(1))
    assert fenced_and_back(setup) == pytest.approx(STAND_BACK_SECONDS)
    assert STAND_BACK_SECONDS > DEAD_AFTER_SECONDS


def test_who_is_fenced_again_and_again_stays_away_longer_and_longer_but_never_for_good() -> None:
    setup = Setup()
    setup.register(map_at(1))
    pauses = [fenced_and_back(setup) for _ in range(7)]
    assert pauses[:3] == pytest.approx([STAND_BACK_SECONDS, 2 * STAND_BACK_SECONDS, 4 * STAND_BACK_SECONDS])
    assert pauses[-1] == pytest.approx(MAX_STAND_BACK_SECONDS)
    setup.clock.now += 3600.0
    setup.poll(answer(map_at(1), stamp="2"))
    assert fenced_and_back(setup) == pytest.approx(STAND_BACK_SECONDS)


def test_who_was_hung_and_finds_itself_fenced_is_back_at_once() -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.clock.now += LEASE_SECONDS
    assert fenced_and_back(setup) == 0.0


def test_a_node_that_stands_back_asks_nobody_and_a_web_process_goes_on_to_learn_the_map() -> None:
    for kind, asked in (("node", 0), ("web", 3)):
        setup = Setup(kind=kind)
        setup.register(map_at(1))
        setup.poll(answer(map_at(1), state=FENCED))
        setup.pool.calls.clear()
        setup.reply = lambda _url, _call, _body: answer(map_at(7), stamp="7")
        rounds(setup, STAND_BACK_SECONDS - 0.5)
        assert len(setup.pool.calls) >= asked
        assert not [call for call in setup.pool.calls if call[2].get("incarnation") or call[1] == "register"]
        assert (setup.member.view.map == map_at(7)) == (kind == "web")
        if kind == "node":
            assert not setup.pool.calls


def test_a_member_registers_with_those_alone_who_must_reach_it() -> None:
    setup = Setup(register_urls=("http://storage1", "http://storage2"), kind="web")

    def storages_are_down(url: str, call: str, _body: Body) -> Body:
        if url != AUTOSCALER:
            raise Unavailable("down")
        assert call == "poll"
        return answer(map_at(3), stamp="3")

    setup.reply = storages_are_down
    rounds(setup, 2.0)
    registered_with = {url for url, call, _ in setup.pool.calls if call == "register"}
    assert registered_with == {"http://storage1", "http://storage2"}
    assert setup.cache.dark, "a guest has no lease"
    assert setup.member.view.map == map_at(3), "where the nodes are it knows from whoever answers"


# --- refresh


def test_a_refresh_asks_as_a_guest_and_gives_no_lease() -> None:
    setup = Setup()
    setup.reply = lambda _url, _call, _body: answer(map_at(2), state="guest")
    assert setup.member.refresh().map == map_at(2)
    assert setup.pool.calls[0][2]["incarnation"] is None
    assert setup.cache.epoch == 0
    assert setup.cache.dark


def test_a_refresh_does_not_hide_the_newer_map_from_the_poll() -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.reply = lambda _url, _call, _body: answer(map_at(2), state="guest", stamp="2")
    setup.member.refresh()
    setup.poll(answer(map_at(2), stamp="2"))
    assert setup.pool.calls[-1][2]["stamp"] == "1", "else the poll would wait although the cache has the older map"
    assert setup.cache.epoch == 2


@pytest.mark.parametrize("error", [Unavailable("no answer"), Unauthenticated("no"), ElasticImagesError("a bug")])
def test_a_refresh_that_fails_gives_the_old_view(error: ElasticImagesError) -> None:
    setup = Setup()
    setup.register(map_at(1))
    before = setup.member.view

    def fail(_url: str, _call: str, _body: Body) -> Body:
        raise error

    setup.reply = fail
    assert setup.member.refresh() is before


def test_a_refresh_that_is_answered_with_something_else_gives_the_old_view() -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.reply = lambda _url, _call, _body: {"hello": "there"}
    assert setup.member.refresh().map == map_at(1)


def test_all_who_want_a_refresh_at_once_wait_for_one_answer() -> None:
    setup = Setup()
    _refresh_in_threads(setup, lambda: answer(map_at(2)))
    assert len(setup.pool.calls) == 1


def test_all_who_want_a_refresh_at_once_wait_for_one_failure_only() -> None:
    setup = Setup()

    def fail() -> Body:
        raise Unavailable("no answer in time")

    _refresh_in_threads(setup, fail)
    assert len(setup.pool.calls) == 1, "one after another they would wait for minutes"
    setup.clock.now += 0.06
    setup.member.refresh()
    assert len(setup.pool.calls) == 2, "a little later it is worth another try"


def _refresh_in_threads(setup: Setup, reply: Callable[[], Body]) -> None:
    """Refresh in many threads at once; the answer comes after 0.6 s."""
    asked, go_on = threading.Event(), threading.Event()

    def slow(_url: str, _call: str, _body: Body) -> Body:
        asked.set()
        go_on.wait(60)
        setup.clock.now += 0.6
        return reply()

    setup.reply = slow
    threads = [threading.Thread(target=setup.member.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert asked.wait(60)
    go_on.set()
    for thread in threads:
        thread.join(60)


def test_every_view_is_shown_to_who_wants_to_know() -> None:
    setup = Setup()
    setup.register(map_at(1))
    setup.poll(answer(map_at(2), stamp="2"))
    assert [view.map.epoch for view in setup.seen if view.map] == [1, 2]


# --- members that break a rule are caught: each by a test above


class CountsTheLeaseFromTheAnswer(PoolMember):
    def _obey(self, answer: PollAnswer, sent: float) -> None:  # noqa: ARG002 - broken on purpose
        super()._obey(answer, self._clock())


class RenewsWhateverItIs(PoolMember):
    def _obey(self, answer: PollAnswer, sent: float) -> None:
        super()._obey({**answer, "state": LIVE}, sent)


class RenewsBeforeItTakesTheMap(PoolMember):
    def _obey(self, answer: PollAnswer, sent: float) -> None:
        assert self._cache is not None
        self._cache.renew_lease(sent + LEASE_SECONDS)
        super()._obey(answer, sent)


class KeepsItsLife(PoolMember):
    def _register(self) -> None:
        assert self._cache is not None
        reborn = self._cache.start_incarnation

        def goes_on(incarnation: str) -> None:
            if not self._cache or not self._cache.incarnation:
                reborn(incarnation)

        self._cache.start_incarnation = goes_on  # type: ignore[method-assign]
        super()._register()
        self._cache.start_incarnation = reborn  # type: ignore[method-assign]


CAUGHT_BY: dict[type[PoolMember], Callable[[], None]] = {
    CountsTheLeaseFromTheAnswer: test_the_lease_counts_from_when_the_poll_was_sent,
    RenewsWhateverItIs: lambda: test_a_member_that_is_not_live_clears_and_registers_anew(FENCED),
    RenewsBeforeItTakesTheMap: test_the_map_is_taken_before_the_lease_is_renewed,
    KeepsItsLife: lambda: test_a_member_that_is_not_live_clears_and_registers_anew(FENCED),
}


@pytest.mark.parametrize("kind", CAUGHT_BY, ids=lambda kind: kind.__name__)
def test_a_member_that_breaks_a_rule_is_caught(kind: type[PoolMember], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setup, "kind", kind)
    with pytest.raises(AssertionError):
        CAUGHT_BY[kind]()
