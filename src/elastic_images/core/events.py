"""What happens to the pool and its nodes, as fields: the autoscaler writes events, the manager puts them into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

MapEventKind = Literal["first", "open", "close", "abort", "fail-over", "settle"]
"""A change of the pool map."""
EventKind = (
    MapEventKind
    | Literal[
        "node-launched",
        "node-not-launched",
        "node-ready",
        "node-stopping",
        "node-died",
        "node-fenced",
        "node-dead",
        "node-killed",
        "config-changed",
    ]
)
Cause = Literal["process-gone", "lease-expired", "first-settings", "by-hand", "by-policy"]
"""`node-dead`: its process was found gone, or its last lease ended after it was fenced. `config-changed`: the rest."""


class SettingChange(TypedDict):
    """One setting before and after a change, as JSON values."""

    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the pool or to a node."""

    kind: EventKind
    slot: int | None = None
    epoch: int | None = None
    incarnation: str | None = None
    cause: Cause | None = None
    reason: str = ""
    """Why, in a sentence for people. Shown as it is; nothing may depend on its words."""
    changes: Mapping[str, SettingChange] = field(default_factory=dict)
    """Of `config-changed`: by the setting's name."""


class EventRecord(TypedDict):
    """An event as JSON, as `GET /internal/events` and the manager's `GET /api/events` list it."""

    id: int
    at: float
    """Seconds since the epoch."""
    kind: str
    slot: int | None
    epoch: int | None
    message: str
    """One line for logs and scripts."""
    incarnation: str | None
    cause: str | None
    reason: str
    """As in `Event`; of an event kept by an older version, its whole message."""
    changes: dict[str, SettingChange]
