"""A process's membership of the pool: it registers, polls, obeys the map and keeps its lease."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import cast

from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.errors import ElasticImagesError, Unavailable
from elastic_images.http.internal_client import InternalClient, decoded
from elastic_images.pool.lease_clock import lease_clock
from elastic_images.pool.life_lock import MAX_FORMER, LifeLock
from elastic_images.pool.view import (
    DEAD_AFTER_SECONDS,
    FENCED,
    LEASE_SECONDS,
    LIVE,
    LeaveRequest,
    Member,
    PollAnswer,
    PollRequest,
    PoolView,
    RegisterRequest,
)

_log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
_ANSWER_SECONDS = 0.6
"""How much longer than the poll its answer may take; that leaves time in the lease to try another address."""
_PAUSE_SECONDS = 0.2
_LEAVE_SECONDS = 0.5
"""How long a stopping member waits for each of two addresses to take note of it."""
_REFRESH_SECONDS = 0.05
STAND_BACK_SECONDS = DEAD_AFTER_SECONDS + 0.5
"""How long a member stays away if it was fenced while it held a lease, because some writers cannot reach it.

Those wait for its death. If it came back earlier, they would have to start waiting again, and writes could be held
up for as long as the network is broken.
"""
MAX_STAND_BACK_SECONDS = 64.0
_STEADY_SECONDS = 60.0
"""After living this long, a member that is fenced counts as fenced for the first time."""


class PoolMember:
    """Polls the pool on a thread of its own.

    With a cache it is a member: it registers an incarnation, gives the cache each map and lease, and registers a new
    incarnation when it finds itself fenced. Without one, or once it has left, it is a guest and only learns the map.
    `view` may be read from any thread; it is replaced as a whole.
    """

    def __init__(
        self,
        http: InternalClient,
        urls: Sequence[str],
        cache: CoherentCache | None = None,
        *,
        register_urls: Sequence[str] | None = None,
        member_id: str = "",
        kind: str = "web",
        clock: Callable[[], float] = lease_clock,
        on_view: Callable[[PoolView], None] = lambda _view: None,
    ) -> None:
        """`urls`: storage processes and the autoscaler, any of which can answer a poll.

        `register_urls`: those it may register with, by default all. They should be the writers: a member that reaches
        none of them cannot be reached by them either, and would hold up their writes.
        """
        self._http = http
        self._polled = _Rotation(urls)
        self._registrars = _Rotation(urls if register_urls is None else register_urls)
        self._cache = cache
        self._member_id = member_id
        self._kind = kind
        self._clock = clock
        self._on_view = on_view
        self._addresses = ("", "")
        self._life: LifeLock | None = None
        self._former: tuple[str, ...] = ()
        self._offered = ""
        """The incarnation whose registration has not been answered yet."""
        self._leaving = False
        self._left = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._registered = cache is None
        self._hurry = False
        self._registered_at = self._back_at = float("-inf")
        self._setbacks = 0
        self._obeyed_stamp = ""
        self._refreshed_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="pool-member", daemon=True)
        self.view = PoolView()

    def start(self, address: str, data_address: str = "", *, life: LifeLock | None = None) -> None:
        """Start polling. `address` is the control listener's, `data_address` where a node serves reads.

        `life`: the lock of this member's id. Incarnations that its earlier holders noted are registered as gone.
        """
        self._addresses = (address, data_address)
        self._life, self._former = life, life.former if life else ()
        self._thread.start()

    def leave(self) -> None:
        """Leave the pool and go on as a guest. Returns once the pool knows, or at `stop`.

        The cache goes dark and drops everything before the pool hears of it, because no writer waits for a member that
        has left. Until then they notify it, so its control listener must still answer.
        """
        if self._cache is None:
            return
        self._cache.leave()
        self._leaving = True
        self._left.wait()

    def stop(self) -> None:
        """Leave the pool, unless it has left, and end the thread. Waits for a pending poll no longer than it may take.

        One that cannot say that it leaves is fenced by the next write, as if it had been killed.
        """
        self._stopping.set()
        if self._cache is not None:
            self._cache.leave()
        if self._thread.is_alive():
            # A registration under way might come after the word that this member has left.
            self._thread.join(POLL_SECONDS + _ANSWER_SECONDS)
        if self._cache is not None and self._cache.incarnation:
            self._say_goodbye({"incarnation": self._cache.incarnation})
        self._left.set()

    def _say_goodbye(self, body: LeaveRequest) -> None:
        for _ in range(2):
            try:
                self._ask("leave", body, _LEAVE_SECONDS)
            except ElasticImagesError as error:
                _log.debug("leaving the pool failed: %s", error)
            else:
                return

    @property
    def has_ended(self) -> bool:
        """Whether the thread is gone although nobody stopped it."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def refresh(self) -> PoolView:
        """Ask for the view now, as a guest; concurrent callers share one answer.

        Gives the old view if nothing answers, or if it was asked for a moment ago.
        """
        before = self.view
        with self._refreshing:
            if self.view is before and self._clock() >= self._refreshed_at + _REFRESH_SECONDS:
                body: PollRequest = {"incarnation": None, "epoch": 0, "stamp": "", "wait": 0}
                try:
                    self._publish(_view_in(self._ask("poll", body, _ANSWER_SECONDS)))
                except ElasticImagesError:
                    _log.debug("refreshing the pool map failed: no answer")
                finally:
                    # At the end, so callers that waited for this attempt do not wait for another one.
                    self._refreshed_at = self._clock()
            return self.view

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._leaving:
                    self._become_guest()
                elif self._registered:
                    self._poll()
                elif self._clock() < self._back_at:
                    self._stand_back()
                else:
                    self._register()
                self._hurry = False
            except ElasticImagesError as error:
                _log.debug("poll failed: %s", error)
                self._pause()
                self._look_as_guest()
            except Exception:  # noqa: BLE001 - the loop must go on to renew the lease
                _log.exception("poll failed")
                self._pause()

    def _become_guest(self) -> None:
        # On this thread: a registration under way might come after the word that this member has left.
        if self._cache is not None and self._cache.incarnation:
            self._ask("leave", {"incarnation": self._cache.incarnation}, POLL_SECONDS)
        self._cache, self._registered, self._leaving = None, True, False
        self._left.set()

    def _pause(self) -> None:
        self._hurry = True
        self._stopping.wait(_PAUSE_SECONDS)

    def _stand_back(self) -> None:
        self._stopping.wait(min(POLL_SECONDS, max(0.0, self._back_at - self._clock())))
        self._look_as_guest()

    def _look_as_guest(self) -> None:
        """Refresh the view of a web process that is not a member, because it still needs to know the nodes."""
        if self._kind == "web" and not self._registered and not self._stopping.is_set():
            self.refresh()

    def _register(self) -> None:
        cache = self._cache
        if cache is None:
            return
        if not self._offered:
            self._offered = uuid.uuid4().hex
            cache.start_incarnation(self._offered)
            if self._life is not None:
                self._life.note((*self._former, self._offered)[-MAX_FORMER:])
        # One that got no answer may have been registered. It is repeated, not replaced by another one, so that writers
        # reach it, and do not wait for an incarnation that nobody answers for.
        incarnation = self._offered
        member = Member(incarnation, self._member_id, self._kind, *self._addresses)
        # Its cache is empty now, so its earlier incarnations are as good as gone.
        body: RegisterRequest = {"member": member.to_json(), "replaces": list(self._former)}
        sent = self._clock()
        answer = self._ask("register", body, POLL_SECONDS)
        self._registered, self._registered_at = True, sent
        self._offered, self._former = "", (incarnation,)
        _log.info("%s registered, incarnation %s", self._member_id, incarnation)
        self._obey(answer, sent)

    def _poll(self) -> None:
        cache = self._cache
        body: PollRequest = {
            "incarnation": cache.incarnation if cache else None,
            "epoch": cache.epoch if cache else 0,
            # Not the view's: a refresh may have seen a newer map that the cache has yet to take.
            "stamp": self._obeyed_stamp,
            # After a failure, what is left of the lease is too short for a long poll.
            "wait": 0.0 if self._hurry else POLL_SECONDS,
        }
        sent = self._clock()
        self._obey(self._ask("poll", body, POLL_SECONDS + _ANSWER_SECONDS), sent)

    def _obey(self, answer: PollAnswer, sent: float) -> None:
        view = _view_in(answer)
        if self._cache is not None:
            if answer["state"] != LIVE:
                self._registered = False
                pause = self._pause_after(answer["state"])
                self._back_at = self._clock() + pause
                _log.warning("%s is %s, registers again in %g s", self._member_id, answer["state"], pause)
                return
            # The map comes before the lease, because a new lease must not serve an older map.
            self._cache.take_map(view.map)
            if view.map is None or view.map.epoch >= self._cache.epoch:
                self._cache.renew_lease(sent + LEASE_SECONDS)
        self._publish(view)
        self._obeyed_stamp = view.stamp

    def _publish(self, view: PoolView) -> None:
        with self._lock:
            known = self.view.map
            if known is not None and (view.map is None or view.map.epoch < known.epoch):
                return
            self.view = view
            self._on_view(view)

    def _pause_after(self, state: str) -> float:
        """How long to stay away after ending in this state."""
        if self._clock() - self._registered_at >= _STEADY_SECONDS:
            self._setbacks = 0
        if state != FENCED or self._cache is None or self._cache.dark:
            # It was hung or cut off entirely, so nothing waits for it any more.
            return 0.0
        self._setbacks += 1
        return float(min(STAND_BACK_SECONDS * 2 ** (self._setbacks - 1), MAX_STAND_BACK_SECONDS))

    def _ask(self, call: str, body: PollRequest | RegisterRequest | LeaveRequest, timeout_seconds: float) -> PollAnswer:
        """Ask the address that answered last; one that fails moves to the end of the list."""
        urls = self._registrars if call == "register" else self._polled
        url = urls.first
        try:
            answer = decoded(
                self._http.request("POST", f"{url}/internal/pool/{call}", json=body, timeout_seconds=timeout_seconds)
            )
        except ElasticImagesError:
            urls.pass_over(url)
            raise
        if not isinstance(answer, dict):
            raise Unavailable("A poll got an invalid answer.")
        return cast("PollAnswer", answer)


class _Rotation:
    """A list of addresses that begins with the one to use. Safe to share between threads."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._lock = threading.Lock()

    @property
    def first(self) -> str:
        """The one to use."""
        return self._urls[0]

    def pass_over(self, failed: str) -> None:
        """Move a failed address to the end, if it is the first."""
        with self._lock:
            # Two threads may see the same failure; moving on once is enough.
            if self._urls[0] == failed:
                self._urls = [*self._urls[1:], failed]


def _view_in(answer: PollAnswer) -> PoolView:
    try:
        return PoolView.from_json(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("A poll got an invalid answer.") from error
