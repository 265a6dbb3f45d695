"""Readers: each read is by somebody, of some name of a key, and judged by all that the key can have been meanwhile."""

from __future__ import annotations

import json
import random
import time
from collections import OrderedDict

from benchmarks.checker.bodies import read_body
from benchmarks.checker.connection import Reply
from benchmarks.checker.people import Person
from benchmarks.checker.plan import Plan, Wandering, key_of
from benchmarks.checker.states import NOTHING, REFUSED, Got, what_is_wrong

GIVE_UP_SECONDS = 15.0
"""A read that keeps retrying this long without an answer has failed."""
_PAUSE_SECONDS = 0.05
_RENDITIONS = ("rendition=thumb", "preset=preview", "w=64&format=png", "dpr=2&h=128&format=auto")
_RENDITION_SHARE = 0.3
"""Of the reads. They are made of the version that is there, so one of an older version is stale, too."""
_FACTS_SHARE = 0.03
"""Of the reads: they ask for the metadata."""
_CONDITIONAL_SHARE = 0.2
_KEPT = 200
"""So many answers a reader keeps, to ask whether they are still right."""
_NEW_CONNECTION_EVERY = 200
"""Reads per connection; then the reader moves on, perhaps to another web process."""
_COUNT_EVERY = 20
_ANSWERS = (200, 206, 304, 401, 403, 404)


class Reader:
    """One reading thread."""

    def __init__(self, plan: Plan, chance: random.Random, first: int) -> None:
        self._plan = plan
        self._chance = chance
        self._connection = Wandering(plan.places, plan.read_seconds, first)
        self._kept: OrderedDict[tuple[str, str], tuple[dict[str, str], int]] = OrderedDict()
        """For a key and a query, conditions for an image that was seen, by whomever, and the step that wrote it."""
        self.counts: dict[str, int] = {}

    def close(self) -> None:
        """Move on to the next place."""
        self._connection.close()

    def read(self) -> None:
        """One read, repeated until it is answered."""
        plan, chance = self._plan, self._chance
        # Some keys are hot, to involve the near caches.
        number = min(chance.randrange(plan.ledger.keys), chance.randrange(plan.ledger.keys))
        query = chance.choice(_RENDITIONS) if chance.random() < _RENDITION_SHARE else ""
        facts = chance.random() < _FACTS_SHARE
        began = time.monotonic()
        while True:
            reply = self._attempt(number, "" if facts else query, facts)
            if reply is not None and reply.status in _ANSWERS:
                plan.totals.took("read", time.monotonic() - began)
                return
            if reply is not None and reply.status != 503:
                self._complain("read", number, query=query, status=reply.status, body=repr(reply.body[:200]))
            self._count("retried_reads")
            if time.monotonic() - began > GIVE_UP_SECONDS:
                self._count("failed_reads")
                self._complain("failed read", number, query=query, status=reply.status if reply else None)
                return
            self.close()
            if plan.stop.wait(_PAUSE_SECONDS):
                return

    def _attempt(self, number: int, query: str, facts: bool) -> Reply | None:
        plan, ledger, chance = self._plan, self._plan.ledger, self._chance
        person = plan.people.draw(chance, api=facts)
        seen = ledger.acknowledged(number)
        name = chance.choice((*ledger.state(number, seen).names, ledger.state(number, ledger.begun(number)).name))
        key = key_of(number, name)
        path, headers = person.dressed(f"/{'api/' if facts else ''}images/{key}", key, query, plan.people.cookie_name)
        held = self._condition(key, query, headers) if not facts else 0
        reply = self._connection.request("GET", path, None, headers)
        if reply is None or reply.status not in _ANSWERS:
            return reply
        states, viewers = ledger.possible(number, seen), plan.people.viewers(person)
        found = got(reply, number, held=held, facts=facts)
        wrong = what_is_wrong(states, name, viewers, found) if states is not None else None
        if found.kind == "image" and reply.status != 304:
            self._keep(key, query, reply, found.body)
        self._tally(reply, query, held, found)
        if wrong:
            self._count("stale_reads")
            self._count("wrong_people", int(wrong.startswith("shown")))
            self._found(number, key, query, person, seen, wrong, reply)
        return reply

    def _condition(self, key: str, query: str, headers: dict[str, str]) -> int:
        """Make some requests conditional. Gives the step that wrote the image that is asked about, or 0."""
        drawn = self._chance.random()
        if drawn >= _CONDITIONAL_SHARE:
            return 0
        if drawn < _CONDITIONAL_SHARE / 4:
            headers["Range"] = "bytes=0-"
            return 0
        conditions, body = self._kept.get((key, query), ({}, 0))
        if conditions:
            header = self._chance.choice(list(conditions))
            headers[header] = conditions[header]
        return body

    def _keep(self, key: str, query: str, reply: Reply, body: int) -> None:
        asked = {"If-None-Match": reply.header("etag"), "If-Modified-Since": reply.header("last-modified")}
        self._kept[key, query] = {name: value for name, value in asked.items() if value}, body
        self._kept.move_to_end((key, query))
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _tally(self, reply: Reply, query: str, held: int, found: Got) -> None:
        self._count("reads")
        self._count("rendition_reads", int(bool(query)))
        self._count("conditional_reads", int(held > 0 or reply.status == 206))
        self._count("hidden_reads", int(found == NOTHING))
        self._count("refused_reads", int(found == REFUSED))
        self._count("bypassed", int(reply.cache == "BYPASS"))

    def _count(self, name: str, amount: int = 1) -> None:
        if amount:
            self.counts[name] = self.counts.get(name, 0) + amount

    def flush(self) -> None:
        """Add what was counted to the totals."""
        for name, amount in self.counts.items():
            self._plan.totals.add(name, amount)
        self.counts.clear()

    def _found(self, number: int, key: str, query: str, person: Person, seen: int, wrong: str, reply: Reply) -> None:
        self._complain(
            "stale read",
            number,
            name=key,
            query=query,
            person=str(person),
            acknowledged=seen,
            got=wrong,
            status=reply.status,
            cache=reply.cache,
            at=time.time(),
        )

    def _complain(self, kind: str, number: int, **details: object) -> None:
        self._plan.complaints.put({"kind": kind, "key": number, **details})


def read(plan: Plan, process: int, number: int, _threads: int) -> None:
    """Read until the end."""
    chance = random.Random(f"{plan.seed} reader {process} {number}")
    reader = Reader(plan, chance, number)
    reads = 0
    while not plan.stop.is_set():
        reader.read()
        reads += 1
        if reads % _COUNT_EVERY == 0:
            reader.flush()
        if reads % _NEW_CONNECTION_EVERY == 0:
            reader.close()
        if plan.reads_per_second is not None:
            plan.stop.wait(chance.expovariate(plan.reads_per_second))
    reader.flush()
    reader.close()


def got(reply: Reply, number: int, *, held: int = 0, facts: bool = False) -> Got:
    """What an answer gave away of key `number`.

    `held` is the step that wrote the image that the reader has, and which is shown if it is not modified (304).
    """
    if reply.status == 404:
        return NOTHING
    if reply.status in (401, 403):
        return REFUSED
    if reply.status == 304:
        return Got("image", held)
    if facts:
        return Got("facts", visibility=json.loads(reply.body)["visibility"])
    whose, body = read_body(reply.body)
    return Got("image", body) if whose == number else Got("another's", whose)
