"""Where members register and poll. Storage and the autoscaler both answer, from the same database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from elastic_images.core.errors import InvalidRequest
from elastic_images.pool.life_lock import MAX_FORMER
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import Member

MAX_WAIT_SECONDS = 2.0
_WATCH_SECONDS = 0.05


class ChangeWatch:
    """Waits for the pool to change: however many wait, one of them asks the database, 20 times a second.

    Safe to share between threads. Nothing runs while nobody waits.
    """

    def __init__(self, stamp: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._stamp = stamp
        self._clock = clock
        self._condition = threading.Condition()
        self._watching = False
        self._looked_at = float("-inf")
        self._last = ""

    def wait(self, seen: str, seconds: float) -> None:
        """Return when the stamp is no longer `seen`, or after `seconds`. Raises what `stamp` raises."""
        deadline = self._clock() + seconds
        while (now := self._clock()) < deadline:
            with self._condition:
                pause = self._pause(now)
                if pause > 0:
                    self._condition.wait(min(deadline - now, pause))
                else:
                    self._watching = True
            if pause <= 0:
                self._look()
            if self._last not in ("", seen):
                return

    def _pause(self, now: float) -> float:
        """How long to wait for somebody else's look; 0 or less: it is one's own turn."""
        return _WATCH_SECONDS if self._watching else self._looked_at + _WATCH_SECONDS - now

    def _look(self) -> None:
        current = ""
        try:
            current = self._stamp()
        finally:
            with self._condition:
                self._watching, self._looked_at, self._last = False, self._clock(), current
                self._condition.notify_all()


def pool_blueprint(store: PoolStore) -> Blueprint:
    """The routes `/internal/pool/register` and `/internal/pool/poll` (docs/internal-api.md)."""
    blueprint = Blueprint("pool", __name__, url_prefix="/internal/pool")
    watch = ChangeWatch(store.stamp)

    @blueprint.post("/register")
    def register() -> ResponseReturnValue:
        body = _body()
        try:
            member = Member(**body["member"])
            # The slot is asked for here: a member whose id has none would break everyone who reads the members.
            known = member.kind in ("node", "web") and len(member.incarnation) == 32 and (member.slot or 0) >= 0
        except (KeyError, TypeError, ValueError, AttributeError):
            known = False
        if not known:
            raise InvalidRequest("A member names its id, kind, incarnation, address and data_address.")
        store.register(member, replaces=_replaced(body))
        return jsonify({"state": store.state_of(member.incarnation), **store.read().to_json()})

    @blueprint.post("/poll")
    def poll() -> ResponseReturnValue:
        body = _body()
        incarnation, epoch, seen = body.get("incarnation"), body.get("epoch"), str(body.get("stamp"))
        if incarnation and isinstance(epoch, int) and epoch > 0:
            known = store.read().find(incarnation)
            if known is not None and known.epoch < epoch:
                store.name_epoch(incarnation, epoch)
        watch.wait(seen, _wait_seconds(body))
        # The state and the view are read after the wait: they are what renews the lease.
        state = store.state_of(incarnation) if incarnation else "guest"
        return jsonify({"state": state, **store.read().to_json()})

    return blueprint


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidRequest("The body is no JSON object.")
    return body


def _replaced(body: dict[str, Any]) -> list[str]:
    replaced = body.get("replaces", [])
    if not isinstance(replaced, list) or len(replaced) > MAX_FORMER or not all(isinstance(i, str) for i in replaced):
        raise InvalidRequest(f"replaces is a list of {MAX_FORMER} incarnations at the most.")
    return replaced


def _wait_seconds(body: dict[str, Any]) -> float:
    wait = body.get("wait", 0.0)
    if not isinstance(wait, int | float) or not 0 <= wait <= MAX_WAIT_SECONDS:
        raise InvalidRequest(f"wait is 0 to {MAX_WAIT_SECONDS:.0f} seconds.")
    return float(wait)
