"""Writers: each has keys of its own, which it puts, hides, shows, renames, deletes and restores, one after another."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field

from benchmarks.checker.bodies import make_body
from benchmarks.checker.connection import Reply
from benchmarks.checker.plan import Plan, Wandering, key_of
from benchmarks.checker.states import State
from elastic_images.core.visibility import VISIBILITIES, Visibility

_SHARES = {"deletes": 0.03, "restores": 0.05, "visibility_changes": 0.15, "renames": 0.1}
"""Of the steps; all others are uploads."""
_BACK_SHARE = 0.3
"""Of the renames: onto the name that the image had before."""
_VISIBILITIES: tuple[Visibility, ...] = ("public", "public", *VISIBILITIES)


@dataclass
class _Key:
    """What a key's writer knows."""

    number: int
    step: int = 0
    state: State = field(default_factory=State)
    is_known: bool = True
    """Whether the last step was acknowledged."""
    trashed: State | None = None
    """The newest entry in the trash under its name; None: there is none, or it is not known."""
    names: int = 0
    """The greatest number of a name so far."""

    @property
    def key(self) -> str:
        return key_of(self.number, self.state.name)


class Writer:
    """One writing thread, and its keys."""

    def __init__(self, plan: Plan, chance: random.Random, number: int, writers: int) -> None:
        self._plan = plan
        self._chance = chance
        self._connection = Wandering(plan.places, 30.0, number)
        self._keys = [_Key(key) for key in range(number, plan.ledger.keys, writers)]

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()

    def step(self) -> None:
        """One step of one of the keys."""
        plan, key = self._plan, self._chance.choice(self._keys)
        key.step += 1
        kind = _kind(key, self._chance.random())
        state, before = _next(key, kind, self._chance), key.key
        plan.ledger.begin(key.number, key.step, state)
        began = time.monotonic()
        reply = self._ask(kind, before, key, state)
        plan.totals.took("write", time.monotonic() - began)
        if reply is not None and (reply.status in (200, 201, 204) or (kind == "deletes" and reply.status == 404)):
            plan.ledger.acknowledge(key.number, key.step)
            plan.totals.add(kind)
            _note(key, kind, state, reply.status)
            return
        if reply is None or reply.status == 503:
            plan.totals.add("refused_writes")
        else:
            body = repr(reply.body[:200])
            plan.complaints.put(
                {"kind": "write", "key": key.number, "what": kind, "status": reply.status, "body": body}
            )
        _is_unknown(key, kind, state)

    def _ask(self, kind: str, before: str, key: _Key, state: State) -> Reply | None:
        path, headers = f"/api/images/{before}", {"Authorization": f"Bearer {self._plan.people.owner.secret}"}
        request = self._connection.request
        if kind == "deletes":
            return request("DELETE", path, None, headers)
        if kind == "restores":
            return _restored(request("POST", "/api/trash/restore", _json({"key": before}), headers))
        if kind == "visibility_changes":
            return request("PATCH", path, _json({"visibility": state.visibility}), headers)
        if kind == "renames":
            return request("PATCH", path, _json({"key": key_of(key.number, state.name)}), headers)
        body = make_body(key.number, key.step, self._chance.randrange(200, 20_000))
        return request("PUT", path, body, headers | {"X-Visibility": state.visibility})


def write(plan: Plan, _process: int, number: int, writers: int) -> None:
    """Write this writer's keys until the end."""
    chance = random.Random(f"{plan.seed} writer {number}")
    writer = Writer(plan, chance, number, writers)
    while not plan.stop.is_set():
        writer.step()
        plan.stop.wait(chance.expovariate(plan.writes_per_second / writers))
    writer.close()


def _kind(key: _Key, drawn: float) -> str:
    """What to do next. An upload says what a key is, whatever came of a step that was not acknowledged."""
    for kind, share in _SHARES.items():
        drawn -= share
        if drawn < 0:
            needs_image = kind in ("visibility_changes", "renames")
            possible = key.is_known and (key.state.body if needs_image else kind == "deletes" or key.trashed)
            return kind if possible else "writes"
    return "writes"


def _next(key: _Key, kind: str, chance: random.Random) -> State:
    """What the next step makes of the key."""
    state = key.state
    if kind == "deletes":
        return state._replace(body=0)
    if kind == "restores":
        assert key.trashed is not None
        return state._replace(body=key.trashed.body, visibility=key.trashed.visibility)
    if kind == "visibility_changes":
        others = [visibility for visibility in VISIBILITIES if visibility != state.visibility]
        return state._replace(visibility=chance.choice(others))
    if kind == "renames":
        if state.left >= 0 and chance.random() < _BACK_SHARE:
            return state._replace(name=state.left, left=state.name)
        key.names += 1
        return state._replace(name=key.names, left=state.name)
    return state._replace(body=key.step, visibility=chance.choice(_VISIBILITIES))


def _is_unknown(key: _Key, kind: str, state: State) -> None:
    """A step was not acknowledged: it may take effect, or not."""
    key.is_known, key.trashed = False, None
    if kind == "renames":
        # The image may be under either name, now or later: both are left alone.
        key.names += 1
        state = State(name=key.names)
    key.state = state._replace(body=0)


def _note(key: _Key, kind: str, state: State, status: int) -> None:
    """A step was acknowledged: what it replaced is in the trash now."""
    old, is_known = key.state, key.is_known
    key.state, key.is_known = state, True
    if kind in ("renames", "restores") or (kind == "deletes" and status == 404):
        key.trashed = None  # of other names, or an entry before the one that was restored
    elif kind in ("writes", "deletes") and old.body and is_known:
        key.trashed = old
    if kind == "restores" and old.body and is_known:
        key.trashed = old


def _json(value: dict[str, str]) -> bytes:
    return json.dumps(value).encode()


def _restored(reply: Reply | None) -> Reply | None:
    """The answer with the status of its only result."""
    if reply is None or reply.status != 200:
        return reply
    return reply._replace(status=json.loads(reply.body)["results"][0]["status"])
