"""Every event that the autoscaler can write, through the database to the manager's words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import elastic_images.autoscaler
from elastic_images.autoscaler.event_rows import from_row, to_row
from elastic_images.core.events import Cause, Event, EventKind, EventRecord, MapEventKind
from elastic_images.manager.event_log import shown_events

MAP_KINDS = get_args(MapEventKind)
KINDS = {kind for part in get_args(EventKind) for kind in (get_args(part) or (part,))}
EVENTS = [
    *(Event(kind, epoch=7, reason="A reason.") for kind in MAP_KINDS),
    Event("node-launched", 3),
    Event("node-not-launched", 3, reason="No capacity."),
    Event("node-ready", 3),
    Event("node-stopping", 3),
    Event("node-died", 3),
    Event("node-fenced", 3, incarnation="abc"),
    Event("node-dead", 3, incarnation="abc", cause="process-gone"),
    Event("node-dead", 3, incarnation="abc", cause="lease-expired"),
    Event("node-killed", 3),
    Event("config-changed", cause="first-settings"),
    Event("config-changed", cause="by-hand", changes={"cache_mb": {"before": 64, "after": 65}}),
    Event("config-changed", cause="by-policy", reason="A reason.", changes={"num_nodes": {"before": 1, "after": 2}}),
]


def record(event: Event) -> EventRecord:
    return from_row({"id": 1, "at": 5.0} | to_row(event))


def test_every_kind_and_cause_is_among_these_events() -> None:
    assert {event.kind for event in EVENTS} == KINDS
    assert {event.cause for event in EVENTS if event.cause} == set(get_args(Cause))
    source = "".join(file.read_text() for file in Path(elastic_images.autoscaler.__path__[0]).rglob("*.py"))
    written = set(re.findall(r'Event\(\s*"([a-z-]+)"', source))
    assert written == KINDS - set(MAP_KINDS)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_event_comes_back_as_it_was_written(event: Event) -> None:
    found = record(event)
    assert (found["id"], found["at"], found["kind"]) == (1, 5.0, event.kind)
    for name in ("slot", "epoch", "incarnation", "cause", "reason", "changes"):
        assert found[name] == getattr(event, name), name
    assert not found["message"].startswith("{")
    assert event.reason in found["message"]


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_the_manager_shows_every_event_without_reading_its_message(event: Event) -> None:
    found = record(event)
    found["message"] = "{unreadable"
    (shown,) = shown_events([found])
    assert shown.title[0].isupper()
    assert "-" not in shown.title, "a kind that the manager has no title for"
    assert "{" not in shown.title + shown.detail
    assert event.slot is None or f"Node {event.slot}" in shown.title
    assert event.reason in shown.detail
    if event.changes and event.cause == "by-hand":
        assert shown.detail == "Capacity: 64 MB → 65 MB"


def test_what_is_shown_does_not_depend_on_the_words_of_a_reason() -> None:
    titles = []
    for reason in ("Its process is gone: x", "Scaled by the policy (x): y = 1", "{}", ""):
        events = [record(Event(kind, 1, reason=reason)) for kind in ("node-dead", "config-changed", "open")]
        titles.append([shown_events([one])[0].title for one in events])
    assert titles == [titles[0]] * 4


def test_an_event_of_an_older_version_still_shows_its_sentence() -> None:
    row = {"id": 4, "at": 1.0, "kind": "open", "slot": None, "epoch": 3, "message": "A resize is opened: Because."}
    found = from_row(row)
    assert (found["message"], found["reason"], found["cause"], found["changes"]) == (row["message"],) * 2 + (None, {})
    (shown,) = shown_events([found])
    assert (shown.title, shown.detail) == ("A resize began", "A resize is opened: Because.")
