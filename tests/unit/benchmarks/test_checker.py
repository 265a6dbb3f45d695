"""The checker against a system in memory: a right one is found right, and each that is wrong is found out."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import queue
import random
from pathlib import Path
from typing import Any

import pytest
from benchmarks.checker import people as people_module
from benchmarks.checker import plan as plan_module
from benchmarks.checker.connection import Reply
from benchmarks.checker.ledger import Ledger, Totals
from benchmarks.checker.people import PLACES, People, Person
from benchmarks.checker.plan import Plan
from benchmarks.checker.readers import Reader
from benchmarks.checker.states import State, shown
from benchmarks.checker.writers import Writer

from elastic_images.settings import Settings

Image = tuple[bytes, str]


class InMemory:
    """Images, their trash and those who may read, with an answer for each request of the checker."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.trash: dict[str, list[Image]] = {}
        self.viewers = {"": "visitor", "Bearer admin": "admin", "Bearer owner": "owner"}

    def __call__(self, *_: Any) -> InMemory:
        return self

    def close(self) -> None:
        pass

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply | None:
        where, _, query = path.partition("?")
        key = where.split("/images/")[-1]
        if method == "GET":
            return self.get(key, query, headers or {}, facts=where.startswith("/api"))
        return self.change(method, key, body or b"", headers or {})

    def get(self, key: str, query: str, headers: dict[str, str], *, facts: bool) -> Reply:
        kid = query.partition("kid=")[2].partition("&")[0]
        viewer = self.viewers.get(headers.get("Authorization") or headers.get("Cookie", "").partition("=")[2] or kid)
        if viewer is None and "Cookie" not in headers:
            return reply(403 if kid else 401)
        data, visibility = self.find(key)
        etag = hashlib.sha256(data).hexdigest()
        unchanged = headers.get("If-None-Match") == etag
        if self.is_unseen(visibility, viewer or "visitor", unchanged=unchanged) or not data:
            return reply(404)
        if facts:
            return reply(200, json.dumps({"visibility": visibility}).encode())
        if unchanged:
            return reply(304)
        return reply(206 if "Range" in headers else 200, data, etag=etag)

    def find(self, key: str) -> Image:
        return self.images.get(key, (b"", "public"))

    def is_unseen(self, visibility: str, viewer: str, *, unchanged: bool) -> bool:  # noqa: ARG002
        state = State(1, visibility)  # type: ignore[arg-type]
        return shown(state, 0, viewer).kind == "nothing"  # type: ignore[arg-type]

    def change(self, method: str, key: str, body: bytes, headers: dict[str, str]) -> Reply | None:
        if method == "POST":
            key = json.loads(body)["key"]
            self.put(key, self.trash[key].pop())
            return reply(200, b'{"results": [{"status": 200}]}')
        if method == "PUT":
            self.put(key, (body, headers["X-Visibility"]))
            return reply(201)
        if key not in self.images:
            return reply(404)
        if method == "DELETE":
            self.throw_away(key)
            return reply(204)
        changes = json.loads(body)
        if changes.get("key") in self.images:
            return reply(409)
        self.patch(key, **changes)
        return reply(200)

    def put(self, key: str, image: Image) -> None:
        self.throw_away(key)
        self.images[key] = image

    def throw_away(self, key: str) -> None:
        if key in self.images:
            self.trash.setdefault(key, []).append(self.images.pop(key))

    def patch(self, old: str, *, key: str | None = None, visibility: str | None = None) -> None:
        data, before = self.images.pop(old)
        self.images[key or old] = data, visibility or before


def reply(status: int, body: bytes = b"", *, etag: str = "") -> Reply:
    return Reply(status, "HIT", body, f"HTTP/1.1 {status} \r\nETag: {etag}\r\n".encode())


class HidesLate(InMemory):
    """A change of visibility shows at the next one of any key."""

    late: tuple[str, str] | None = None

    def patch(self, old: str, *, key: str | None = None, visibility: str | None = None) -> None:
        if visibility and self.late and self.late[0] in self.images:
            super().patch(self.late[0], visibility=self.late[1])
        if visibility:
            self.late = old, visibility
        else:
            super().patch(old, key=key)


class KeepsOldNames(InMemory):
    """Who renames leaves the image under its old key as well."""

    def patch(self, old: str, *, key: str | None = None, visibility: str | None = None) -> None:
        image = self.images[old]
        super().patch(old, key=key, visibility=visibility)
        if key:
            self.images[old] = image


class LosesWhatMoves(InMemory):
    """A renamed image is nowhere."""

    def patch(self, old: str, *, key: str | None = None, visibility: str | None = None) -> None:
        super().patch(old, key=key, visibility=visibility)
        self.images.pop(key or "", None)


class ConditionsFirst(InMemory):
    """Who has the bytes is told that they are still right, whoever it is."""

    def is_unseen(self, visibility: str, viewer: str, *, unchanged: bool) -> bool:
        return not unchanged and super().is_unseen(visibility, viewer, unchanged=unchanged)


class Repeats(InMemory):
    """Nothing replaces the first image of a key."""

    def put(self, key: str, image: Image) -> None:
        super().put(key, self.images.get(key, image))


class RefusesAtRandom(InMemory):
    """Some writes are answered 503, whether they took effect or not; that is right."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = random.Random(1)

    def change(self, method: str, key: str, body: bytes, headers: dict[str, str]) -> Reply | None:
        drawn = self.chance.random()
        if drawn < 0.1:
            return reply(503)
        answer = super().change(method, key, body, headers)
        return None if drawn < 0.2 else answer


def checked(system: InMemory, folder: Path, monkeypatch: pytest.MonkeyPatch, *, revoked: bool = False) -> list[Any]:
    """What the checker finds in some thousand reads."""
    monkeypatch.setattr(plan_module, "Connection", system)
    people = People(Settings.load({"data": str(folder), "secret_key": "secret"}, {}), "admin")
    people.owner = Person("token", "owner", "owner")
    for place, (kind, viewer) in enumerate(PLACES):
        secret = f"{kind}{place}"
        people.credentials.replace(place, f"{secret} x" if kind == "link" else secret)
        system.viewers[f"Bearer {secret}" if kind == "token" else secret] = viewer
        if revoked:
            people.credentials.revoking(place)
            people.credentials.revoked(place)
    findings: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ledger, totals = Ledger(6), Totals()
    plan = Plan((("", 0),), people, ledger, totals, multiprocessing.Event(), findings, 1, 1.0)
    writer, reader = Writer(plan, random.Random(1), 0, 1), Reader(plan, random.Random(2), 0)
    for _ in range(300):
        writer.step()
        for _ in range(5):
            reader.read()
    reader.flush()
    counted = totals.read()
    assert min(counted[name] for name in ("renames", "visibility_changes", "restores", "conditional_reads")) >= 2
    assert counted["hidden_reads"] > 100
    found = []
    while not findings.empty():
        found.append(findings.get())
    stale = [one for one in found if one["kind"] == "stale read"]
    assert counted["stale_reads"] == len(stale)
    assert counted["wrong_people"] == sum(one["got"].startswith("shown") for one in stale)
    return found


@pytest.mark.parametrize("right", [InMemory, RefusesAtRandom])
def test_a_right_system_is_found_right(right: type[InMemory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not checked(right(), tmp_path, monkeypatch)


@pytest.mark.parametrize("wrong", [HidesLate, KeepsOldNames, LosesWhatMoves, ConditionsFirst, Repeats])
def test_each_wrong_system_is_found_out(wrong: type[InMemory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(wrong(), tmp_path, monkeypatch)
    assert found
    if wrong in (HidesLate, ConditionsFirst):
        assert any("shown to visitor" in one["got"] for one in found)


def test_a_revoked_credential_may_work_until_its_allowance_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not checked(InMemory(), tmp_path, monkeypatch, revoked=True)
    monkeypatch.setattr(people_module, "ALLOWANCE_SECONDS", -1.0)
    found = checked(InMemory(), tmp_path, monkeypatch, revoked=True)
    assert {one["person"] for one in found} >= {"a revoked member by session", "a revoked owner by link"}
