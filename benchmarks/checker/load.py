"""Writers and readers: each a process with a few threads."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks.checker.bodies import make_body, read_body
from benchmarks.checker.ledger import Ledger, Totals
from benchmarks.checker.wire import Connection, Reply

GIVE_UP_SECONDS = 15.0
"""A read that got no 200 for so long, though it retried, has failed."""
_PAUSE_SECONDS = 0.05
_DELETE_SHARE = 0.03
_NEW_CONNECTION_EVERY = 200
"""Reads of a connection, so that readers wander over all web processes."""


@dataclass(frozen=True)
class Plan:
    """What the load is to do. Travels to its processes."""

    port: int
    token: str
    ledger: Ledger
    totals: Totals
    stop: Event
    complaints: Any
    """A queue of findings, as dictionaries."""
    seed: int
    writes_per_second: float


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
    """The address of a key, by its number, below `/images/` or `/api/images/`."""
    return f"check/{key}"


def _run(work: Callable[[Plan, int, int, int], None], plan: Plan, process: int, threads: int) -> None:
    running = [threading.Thread(target=work, args=(plan, process, number, threads)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def _write(plan: Plan, _process: int, number: int, writers: int) -> None:
    """Write the keys that are this writer's, one step after another."""
    chance = random.Random(f"{plan.seed} writer {number}")
    connection = Connection("127.0.0.1", plan.port, 30.0)
    mine = range(number, plan.ledger.keys, writers)
    steps = dict.fromkeys(mine, 0)
    headers = {"Authorization": f"Bearer {plan.token}"}
    while not plan.stop.is_set():
        key = chance.choice(mine)
        steps[key] += 1
        deletes = chance.random() < _DELETE_SHARE
        path = f"/api/images/{path_of(key)}"
        if deletes:
            plan.ledger.deleting(key, steps[key])
            reply = connection.request("DELETE", path, None, headers)
        else:
            body = make_body(key, steps[key], chance.randrange(200, 20_000))
            reply = connection.request("PUT", path, body, headers)
        if reply is not None and (reply.status in (200, 201, 204) or (deletes and reply.status == 404)):
            plan.ledger.acknowledge(key, steps[key])
            plan.totals.add("deletes" if deletes else "writes")
        elif reply is None or reply.status == 503:
            plan.totals.add("refused_writes")
        else:
            plan.complaints.put({"kind": "write", "key": key, "status": reply.status, "body": repr(reply.body[:200])})
        plan.stop.wait(chance.expovariate(plan.writes_per_second / writers))
    connection.close()


def _read(plan: Plan, process: int, number: int, _threads: int) -> None:
    chance = random.Random(f"{plan.seed} reader {process} {number}")
    connection = Connection("127.0.0.1", plan.port, 10.0)
    reads = bypassed = 0
    while not plan.stop.is_set():
        # Some keys are hot, so that near caches take part.
        key = min(chance.randrange(plan.ledger.keys), chance.randrange(plan.ledger.keys))
        reply = _read_once(plan, connection, key)
        reads += 1
        bypassed += reply is not None and reply.cache == "BYPASS"
        if reads % _NEW_CONNECTION_EVERY == 0:
            connection.close()
            plan.totals.add("reads", _NEW_CONNECTION_EVERY)
            plan.totals.add("bypassed", bypassed)
            bypassed = 0
    plan.totals.add("reads", reads % _NEW_CONNECTION_EVERY)
    connection.close()


def _read_once(plan: Plan, connection: Connection, key: int) -> Reply | None:
    """Read a key until there is an answer, and check that it is no older than what was acknowledged before."""
    began = time.monotonic()
    while True:
        seen = plan.ledger.acknowledged(key)
        reply = connection.request("GET", f"/images/{path_of(key)}")
        if reply is not None and reply.status in (200, 404):
            _check(plan, key, seen, reply)
            return reply
        if reply is not None and reply.status != 503:
            plan.complaints.put({"kind": "read", "key": key, "status": reply.status, "body": repr(reply.body[:200])})
        plan.totals.add("retried_reads")
        if time.monotonic() - began > GIVE_UP_SECONDS:
            plan.totals.add("failed_reads")
            plan.complaints.put({"kind": "failed read", "key": key, "status": reply.status if reply else None})
            return None
        connection.close()
        if plan.stop.wait(_PAUSE_SECONDS):
            return None


def _check(plan: Plan, key: int, seen: int, reply: Reply) -> None:
    if reply.status == 404:
        wrong = not plan.ledger.may_be_absent(key, seen)
        got = None
    else:
        whose, got = read_body(reply.body)
        wrong = whose != key or got < seen
    if wrong:
        plan.totals.add("stale_reads")
        plan.complaints.put(
            {
                "kind": "stale read",
                "key": key,
                "acknowledged": seen,
                "got": got,
                "cache": reply.cache,
                "at": time.time(),
            }
        )
