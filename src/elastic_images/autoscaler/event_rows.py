"""Events as rows of `pool_events`: what has no column of its own is JSON in `message`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from elastic_images.core.events import Event, EventRecord

_FIELDS = ("incarnation", "cause", "reason", "changes")
_WORDS = {
    "first": "The pool map was created",
    "open": "A resize was opened",
    "close": "The resize was closed",
    "abort": "The resize was aborted",
    "fail-over": "Partitions moved to nodes that serve",
    "settle": "The pool is settled",
    "node-launched": "Node {slot} was started",
    "node-not-launched": "Node {slot} cannot be started",
    "node-ready": "Node {slot} is ready",
    "node-stopping": "Node {slot} is no longer wanted and was told to stop",
    "node-died": "Node {slot} exited",
    "node-fenced": "Node {slot} is not responding",
    "node-dead": "Node {slot} is dead",
    "node-killed": "Node {slot} was silent for too long and was killed",
    "config-changed": "The settings were changed",
}
_CAUSES = {
    "process-gone": "its process is gone",
    "lease-expired": "it was fenced, and its last lease has expired",
    "first-settings": "the first ones were stored",
    "by-policy": "by automatic mode",
}


def to_row(event: Event) -> dict[str, Any]:
    """The columns of an event, without `id` and `at`."""
    values = asdict(event)
    more = {name: values[name] for name in _FIELDS if values[name]}
    return {"kind": event.kind, "slot": event.slot, "epoch": event.epoch, "message": json.dumps(more)}


def from_row(row: Mapping[str, Any]) -> EventRecord:
    """An event as it was written. Older versions kept a sentence in `message`, which is then the reason too."""
    text = str(row["message"])
    more: dict[str, Any] = {"incarnation": None, "cause": None, "reason": "", "changes": {}}
    written = text.startswith("{")
    more |= json.loads(text) if written else {"reason": text}
    record = {**row, **more}
    return cast("EventRecord", record | {"message": _message(record) if written else text})


def _message(record: Mapping[str, Any]) -> str:
    """One line for logs and scripts; settings by their own names."""
    changes = ", ".join(f"{name} = {change['after']}" for name, change in record["changes"].items())
    parts = [
        _WORDS.get(record["kind"], record["kind"]).format(slot=record["slot"]),
        _CAUSES.get(record["cause"] or "", ""),
    ]
    if record["incarnation"]:
        parts.append(f"incarnation {record['incarnation']}")
    return ": ".join(part for part in (*parts, record["reason"], changes) if part)
