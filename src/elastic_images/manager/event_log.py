"""Events in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from elastic_images.core.events import EventRecord
from elastic_images.manager.setting_labels import shown_change

_TITLES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "first": ("circle-dot", "", "The pool was created"),
        "open": ("move", "info", "A resize began"),
        "close": ("move", "info", "The new owners took over"),
        "settle": ("circle-check", "good", "The pool is settled"),
        "abort": ("rotate-ccw", "warn", "A resize was aborted"),
        "fail-over": ("triangle-alert", "bad", "Partitions moved to other nodes"),
        "node-launched": ("plus", "", "{node} was started"),
        "node-ready": ("circle-check", "good", "{node} is ready"),
        "node-stopping": ("minus", "", "{node} was told to stop"),
        "node-gone": ("minus", "", "{node} is gone"),
        "node-stopped": ("minus", "", "{node} has stopped"),
        "node-died": ("circle-x", "bad", "{node} exited unexpectedly"),
        "node-dead": ("circle-x", "bad", "{node} was given up"),
        "node-fenced": ("ban", "bad", "{node} is not responding"),
        "node-killed": ("circle-x", "bad", "{node} was killed"),
        "node-not-launched": ("triangle-alert", "bad", "{node} could not be started"),
        "config-scaled": ("scaling", "info", "Automatic mode changed the size"),
        "config-changed": ("sliders-horizontal", "", "The settings were changed"),
        "config-first": ("sliders-horizontal", "", "The first settings were saved"),
    }
)
"""Of each kind: icon, level and title."""
_DETAILS: Mapping[str, str] = MappingProxyType(
    {
        "node-dead": "It was fenced, and its last lease has expired.",
        "node-fenced": "It is fenced: no reads go to it.",
        "node-killed": "It was silent for too long.",
    }
)
_ENDS = frozenset({"node-died", "node-dead"})
_SAME_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An event as a page shows it."""

    id: int
    at: float
    icon: str
    level: str
    """`good`, `info`, `warn`, `bad`, or empty."""
    title: str
    detail: str
    slot: int | None
    epoch: int | None

    @property
    def is_fault(self) -> bool:
        """Something went wrong."""
        return self.level == "bad"


def shown_events(events: Iterable[EventRecord]) -> list[ShownEvent]:
    """Events, newest first as they come, each in plain words.

    The end of a node that had been told to stop is not a fault; the same events tell whether it had.
    """
    stopping: set[int | None] = set()
    shown = []
    for event in _without_repetitions(sorted(events, key=lambda event: event["id"])):
        kind, slot = event["kind"], event["slot"]
        if kind == "node-stopping":
            stopping.add(slot)
        elif kind in ("node-launched", "node-ready"):
            stopping.discard(slot)
        elif kind in _ENDS and slot in stopping:
            kind = "node-stopped"
        elif _is_gone(event):
            kind = "node-gone"
        elif kind == "config-changed":
            kind = {"by-policy": "config-scaled", "first-settings": "config-first"}.get(event["cause"] or "", kind)
        shown.append(_shown(event, kind))
    return shown[::-1]


def _without_repetitions(events: list[EventRecord]) -> Iterator[EventRecord]:
    """All events but those that report an end which a `node-died` reports too."""
    ended = [(event["slot"], event["at"]) for event in events if event["kind"] == "node-died"]
    for event in events:
        slot, at = event["slot"], event["at"]
        if not (_is_gone(event) and any(slot == one and abs(at - when) < _SAME_END_SECONDS for one, when in ended)):
            yield event


def _is_gone(event: EventRecord) -> bool:
    """It only reports what is left of an earlier end, such as the system's."""
    return event["kind"] == "node-dead" and event["cause"] == "process-gone"


def _shown(event: EventRecord, kind: str) -> ShownEvent:
    slot = event["slot"]
    icon, level, title = _TITLES.get(kind, ("circle-dot", "", kind.replace("-", " ").capitalize()))
    changes = [] if kind == "config-scaled" else [shown_change(*one) for one in event["changes"].items()]
    return ShownEvent(
        id=event["id"],
        at=event["at"],
        icon=icon,
        level=level,
        title=title.format(node="A node" if slot is None else f"Node {slot}"),
        detail=" ".join(filter(None, (_DETAILS.get(kind, ""), event["reason"], "; ".join(changes)))),
        slot=slot,
        epoch=event["epoch"],
    )
