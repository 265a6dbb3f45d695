"""The routes where members register, poll and leave. Storage and the autoscaler serve them from the same database."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from elastic_images.core.errors import InvalidRequest
from elastic_images.pool.change_watch import ChangeWatch
from elastic_images.pool.life_lock import MAX_FORMER
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import Member, PollAnswer

MAX_WAIT_SECONDS = 2.0


def pool_blueprint(store: PoolStore) -> Blueprint:
    """The routes `/internal/pool/register`, `poll` and `leave` (docs/internal-api.md)."""
    blueprint = Blueprint("pool", __name__, url_prefix="/internal/pool")
    watch = ChangeWatch(store.stamp)

    def answer(incarnation: str | None) -> ResponseReturnValue:
        state = store.state_of(incarnation) if incarnation else "guest"
        told: PollAnswer = {"state": state, **store.read().to_json()}
        return jsonify(told)

    @blueprint.post("/register")
    def register() -> ResponseReturnValue:
        body = _body()
        member = _member(body.get("member"))
        store.register(member, replaces=_replaced(body))
        return answer(member.incarnation)

    @blueprint.post("/poll")
    def poll() -> ResponseReturnValue:
        body = _body()
        incarnation, epoch, seen = body.get("incarnation"), body.get("epoch"), str(body.get("stamp"))
        if incarnation and isinstance(epoch, int) and epoch > 0:
            known = store.read().find(incarnation)
            if known is not None and known.epoch < epoch:
                store.name_epoch(incarnation, epoch)
        watch.wait(seen, _wait_seconds(body))
        # Read after the wait, because this is what renews the lease.
        return answer(incarnation)

    @blueprint.post("/leave")
    def leave() -> ResponseReturnValue:
        incarnation = str(_body().get("incarnation"))
        store.mark_dead(incarnation)
        return answer(incarnation)

    return blueprint


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def _member(given: Any) -> Member:
    try:
        member = Member(**given)
        # The slot is computed here, because an id without one would break everything that reads the members.
        valid = member.kind in ("node", "web") and len(member.incarnation) == 32 and (member.slot or 0) >= 0
    except (TypeError, ValueError, AttributeError):
        valid = False
    if not valid:
        raise InvalidRequest("A member must have id, kind, incarnation, address and data_address.")
    return member


def _replaced(body: dict[str, Any]) -> list[str]:
    replaced = body.get("replaces", [])
    if not isinstance(replaced, list) or len(replaced) > MAX_FORMER or not all(isinstance(i, str) for i in replaced):
        raise InvalidRequest(f"replaces must be a list of at most {MAX_FORMER} incarnations.")
    return replaced


def _wait_seconds(body: dict[str, Any]) -> float:
    wait = body.get("wait", 0.0)
    if not isinstance(wait, int | float) or not 0 <= wait <= MAX_WAIT_SECONDS:
        raise InvalidRequest(f"wait must be from 0 to {MAX_WAIT_SECONDS:.0f} seconds.")
    return float(wait)
