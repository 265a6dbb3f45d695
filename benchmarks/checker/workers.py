"""Writers and readers: each a process with a few threads."""

from __future__ import annotations

import json
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks.checker.bodies import make_body, read_body
from benchmarks.checker.connection import Connection, Reply
from benchmarks.checker.ledger import Ledger, Totals

GIVE_UP_SECONDS = 15.0
"""A read that keeps retrying this long without an answer has failed."""
_PAUSE_SECONDS = 0.05
_RENDITIONS = ("?rendition=thumb", "?preset=preview", "?w=64&format=png", "?dpr=2&h=128&format=auto")
_RENDITION_SHARE = 0.3
"""Of the reads. They are made of the version that is there, so one of an older version is stale, too."""
_DELETE_SHARE = 0.03
_RESTORE_SHARE = 0.05
_NEW_CONNECTION_EVERY = 200
"""Reads per connection; then the reader moves on, perhaps to another web process."""
_COUNT_EVERY = 20


@dataclass(frozen=True)
class Plan:
    """What the load does. Passed to its processes."""

    places: tuple[tuple[str, int], ...]
    """Addresses of the web processes, or of what is in front of them."""
    token: str
    ledger: Ledger
    totals: Totals
    stop: Event
    complaints: Any
    """A queue of findings, as dictionaries."""
    seed: int
    writes_per_second: float
    read_seconds: float = 10.0
    """How long an attempt to read may take before the next place is tried."""
    reads_per_second: float | None = None
    """Per reading thread, at most; None: as many as it can."""


class _Wandering:
    """A keep-alive connection to one place at a time; after a failure, or when it is closed, to the next one."""

    def __init__(self, places: Sequence[tuple[str, int]], timeout_seconds: float, first: int) -> None:
        self._connections = [Connection(host, port, timeout_seconds) for host, port in places]
        self._at = first % len(places)
        self._used = False

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply | None:
        """See `Connection`."""
        self._used = True
        reply = self._connections[self._at].request(method, path, body, headers)
        if reply is None:
            self.close()
        return reply

    def close(self) -> None:
        """Close it and move on to the next place, unless it has not been used since the last close."""
        if self._used:
            self._connections[self._at].close()
            self._at = (self._at + 1) % len(self._connections)
            self._used = False


def start(plan: Plan, *, readers: int, reader_threads: int, writers: int) -> list[multiprocessing.Process]:
    """Start one process with `writers` writing threads and `readers` processes with `reader_threads` each."""
    processes = [multiprocessing.Process(target=_run, args=(_write, plan, 0, writers), daemon=True)]
    processes += [
        multiprocessing.Process(target=_run, args=(_read, plan, 1 + number, reader_threads), daemon=True)
        for number in range(readers)
    ]
    for process in processes:
        process.start()
    return processes


def path_of(key: int) -> str:
    """The path of a key, by its number, below `/images/` or `/api/images/`."""
    return f"check/{key}"


def _run(work: Callable[[Plan, int, int, int], None], plan: Plan, process: int, threads: int) -> None:
    running = [threading.Thread(target=work, args=(plan, process, number, threads)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


@dataclass
class _Written:
    """What a key's writer knows: the steps that wrote its image and its newest entry in the trash.

    0 means that there is none; None that it is not known.
    """

    step: int = 0
    image: int | None = None
    trashed: int | None = None

    def becomes(self, image: int) -> None:
        """An acknowledged write: the image that was there is in the trash now."""
        if self.image != 0:
            self.trashed = self.image
        self.image = image

    def is_unknown(self) -> None:
        """A write was not acknowledged, so it may have taken effect or not."""
        self.image = self.trashed = None


def _write(plan: Plan, _process: int, number: int, writers: int) -> None:
    """Write this writer's keys, one step after another."""
    chance = random.Random(f"{plan.seed} writer {number}")
    connection = _Wandering(plan.places, 30.0, number)
    mine = range(number, plan.ledger.keys, writers)
    known = {key: _Written() for key in mine}
    headers = {"Authorization": f"Bearer {plan.token}"}
    while not plan.stop.is_set():
        key = chance.choice(mine)
        written = known[key]
        written.step += 1
        kind, drawn = "writes", chance.random()
        began = time.monotonic()
        if drawn < _DELETE_SHARE:
            kind = "deletes"
            plan.ledger.deleting(key, written.step)
            reply = connection.request("DELETE", f"/api/images/{path_of(key)}", None, headers)
        elif written.trashed and drawn < _DELETE_SHARE + _RESTORE_SHARE:
            kind = "restores"
            plan.ledger.restoring(key, written.step, written.trashed)
            reply = _restored(connection.request("POST", "/api/trash/restore", _wanted(key), headers))
        else:
            body = make_body(key, written.step, chance.randrange(200, 20_000))
            reply = connection.request("PUT", f"/api/images/{path_of(key)}", body, headers)
        plan.totals.took("write", time.monotonic() - began)
        if reply is not None and (reply.status in (200, 201, 204) or (kind == "deletes" and reply.status == 404)):
            plan.ledger.acknowledge(key, written.step)
            plan.totals.add(kind)
            _note(written, kind, reply.status)
        else:
            written.is_unknown()
            if reply is None or reply.status == 503:
                plan.totals.add("refused_writes")
            else:
                plan.complaints.put(
                    {"kind": "write", "key": key, "status": reply.status, "body": repr(reply.body[:200])}
                )
        plan.stop.wait(chance.expovariate(plan.writes_per_second / writers))
    connection.close()


def _note(written: _Written, kind: str, status: int) -> None:
    if kind == "restores":
        image = written.trashed or 0
        written.trashed = None  # the entry before it is not known
        written.becomes(image)
    elif status == 404:
        written.is_unknown()
    else:
        written.becomes(written.step if kind == "writes" else 0)


def _wanted(key: int) -> bytes:
    return json.dumps({"key": path_of(key)}).encode()


def _restored(reply: Reply | None) -> Reply | None:
    """The answer with the status of its only result."""
    if reply is None or reply.status != 200:
        return reply
    return reply._replace(status=json.loads(reply.body)["results"][0]["status"])


def _read(plan: Plan, process: int, number: int, _threads: int) -> None:
    chance = random.Random(f"{plan.seed} reader {process} {number}")
    connection = _Wandering(plan.places, plan.read_seconds, number)
    reads = bypassed = renditions = 0
    while not plan.stop.is_set():
        # Some keys are hot, to involve the near caches.
        key = min(chance.randrange(plan.ledger.keys), chance.randrange(plan.ledger.keys))
        query = chance.choice(_RENDITIONS) if chance.random() < _RENDITION_SHARE else ""
        reply = _read_once(plan, connection, key, query)
        reads += 1
        renditions += bool(query)
        bypassed += reply is not None and reply.cache == "BYPASS"
        if reads % _COUNT_EVERY == 0:
            plan.totals.add("reads", _COUNT_EVERY)
            plan.totals.add("bypassed", bypassed)
            plan.totals.add("rendition_reads", renditions)
            bypassed = renditions = 0
        if reads % _NEW_CONNECTION_EVERY == 0:
            connection.close()
        if plan.reads_per_second is not None:
            plan.stop.wait(chance.expovariate(plan.reads_per_second))
    plan.totals.add("reads", reads % _COUNT_EVERY)
    connection.close()


def _read_once(plan: Plan, connection: _Wandering, key: int, query: str) -> Reply | None:
    """Read a key until it is answered, and check that the answer is no older than what was acknowledged before."""
    began = time.monotonic()
    while True:
        seen = plan.ledger.acknowledged(key)
        reply = connection.request("GET", f"/images/{path_of(key)}{query}")
        if reply is not None and reply.status in (200, 404):
            plan.totals.took("read", time.monotonic() - began)
            _check(plan, key, query, seen, reply)
            return reply
        if reply is not None and reply.status != 503:
            plan.complaints.put(
                {"kind": "read", "key": key, "query": query, "status": reply.status, "body": repr(reply.body[:200])}
            )
        plan.totals.add("retried_reads")
        if time.monotonic() - began > GIVE_UP_SECONDS:
            plan.totals.add("failed_reads")
            plan.complaints.put(
                {"kind": "failed read", "key": key, "query": query, "status": reply.status if reply else None}
            )
            return None
        connection.close()
        if plan.stop.wait(_PAUSE_SECONDS):
            return None


def what_is_wrong(ledger: Ledger, key: int, seen: int, reply: Reply) -> str | None:
    """What is wrong with a 200 or 404: None, or it is older than `seen`, acknowledged before the read began."""
    if reply.status == 404:
        return None if ledger.may_be_absent(key, seen) else "not found"
    whose, got = read_body(reply.body)
    right = whose == key and (got >= seen or ledger.may_be_restored(key, seen, got))
    return None if right else f"step {got} of key {whose}"


def _check(plan: Plan, key: int, query: str, seen: int, reply: Reply) -> None:
    wrong = what_is_wrong(plan.ledger, key, seen, reply)
    if wrong:
        plan.totals.add("stale_reads")
        plan.complaints.put(
            {
                "kind": "stale read",
                "key": key,
                "query": query,
                "acknowledged": seen,
                "got": wrong,
                "cache": reply.cache,
                "at": time.time(),
            }
        )
