"""Events and decisions of the autoscaler in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from elastic_images.manager.explain import LABELS
from elastic_images.manager.services import Record

_TITLES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "first": ("circle-dot", "", "The pool was made"),
        "open": ("move", "info", "A resize began"),
        "close": ("move", "info", "The new owners have taken over"),
        "settle": ("circle-check", "good", "The pool is settled"),
        "abort": ("rotate-ccw", "warn", "A resize was undone"),
        "fail-over": ("triangle-alert", "bad", "Partitions went to nodes that serve"),
        "node-launched": ("plus", "", "{node} was started"),
        "node-ready": ("circle-check", "good", "{node} is ready"),
        "node-stopping": ("minus", "", "{node} was told to stop"),
        "node-gone": ("minus", "", "{node} is gone"),
        "node-stopped": ("minus", "", "{node} has stopped"),
        "node-died": ("circle-x", "bad", "{node} ended by itself"),
        "node-dead": ("circle-x", "bad", "{node} was given up"),
        "node-fenced": ("ban", "bad", "{node} does not answer"),
        "node-killed": ("circle-x", "bad", "{node} was killed"),
        "node-not-launched": ("triangle-alert", "bad", "{node} cannot be started"),
        "config-scaled": ("scaling", "info", "Automatic mode changed the size"),
        "config-changed": ("sliders-horizontal", "", "The settings were changed"),
    }
)
"""Of each kind: icon, level, and words."""
_TOLD_BY_TITLE = frozenset({"node-launched", "node-ready", "node-stopping", "node-stopped", "node-died", "node-gone"})
_ENDS = frozenset({"node-died", "node-dead"})
_SAME_END_SECONDS = 10.0
_SCALED = "Scaled by the policy ("
_GONE = "Its process is gone"
"""So begins the message of a `node-dead` that only says what is left of an earlier end, such as that of the system."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as people are told of it."""

    id: int
    at: float
    icon: str
    level: str
    """`good`, `info`, `warn`, `bad`, or empty."""
    title: str
    message: str
    slot: int | None
    epoch: int | None

    @property
    def is_fault(self) -> bool:
        """Something went wrong."""
        return self.level == "bad"


def happenings(events: Iterable[Record]) -> list[Happening]:
    """Events, newest first as they come, each in plain words.

    The end of a node that had been told to stop is no fault; whether it had is looked up in the same events.
    """
    told: set[int | None] = set()
    found = []
    for event in _without_repetitions(sorted(events, key=lambda event: int(event["id"]))):
        kind, slot = str(event["kind"]), event.get("slot")
        if kind == "node-stopping":
            told.add(slot)
        elif kind in ("node-launched", "node-ready"):
            told.discard(slot)
        elif kind in _ENDS and slot in told:
            kind = "node-stopped"
        elif _is_gone(event):
            kind = "node-gone"
        elif str(event["message"]).startswith(_SCALED):
            kind = "config-scaled"
        found.append(_happening(event, kind))
    return found[::-1]


def _without_repetitions(events: list[Record]) -> Iterator[Record]:
    """All but those that tell an end which `node-died` tells, too."""
    ended = [(event["slot"], float(event["at"])) for event in events if event["kind"] == "node-died"]
    for event in events:
        slot, at = event.get("slot"), float(event["at"])
        if not (_is_gone(event) and any(slot == one and abs(at - when) < _SAME_END_SECONDS for one, when in ended)):
            yield event


def _is_gone(event: Record) -> bool:
    return event["kind"] == "node-dead" and str(event["message"]).startswith(_GONE)


def _happening(event: Record, kind: str) -> Happening:
    slot = event.get("slot")
    icon, level, title = _TITLES.get(kind, ("circle-dot", "", kind.replace("-", " ").capitalize()))
    return Happening(
        id=int(event["id"]),
        at=float(event["at"]),
        icon=icon,
        level=level,
        title=title.format(node="A node" if slot is None else f"Node {slot}"),
        message=_more(kind, str(event["message"])),
        slot=slot,
        epoch=event.get("epoch"),
    )


def _more(kind: str, message: str) -> str:
    """What the message tells beyond the title."""
    first, _, rest = message.partition(": ")
    if kind in _TOLD_BY_TITLE:
        return ""
    if kind in ("node-dead", "node-fenced"):
        return f"{first}."
    if kind == "node-killed":
        return "It was not heard of for too long."
    if kind == "config-scaled":
        return message.removeprefix(_SCALED).rpartition("): ")[0]
    if kind == "config-changed" and rest:
        reason, _, changes = message.rpartition(": ")
        told = ", ".join(_setting(change) for change in changes.split(", "))
        return f"{told[:1].upper()}{told[1:]}." if reason == "The settings were changed" else f"{reason}: {told}."
    return rest or message


def _setting(change: str) -> str:
    name, _, value = change.partition(" = ")
    label = LABELS.get(name, name)
    return f"{label[:1].lower()}{label[1:]} is {value}" if value else change


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision, or several in a row that left the pool as it was."""

    decisions: tuple[Record, ...]
    """Newest first; at least one."""

    @property
    def newest(self) -> Record:
        """The last of them."""
        return self.decisions[0]

    @property
    def oldest(self) -> Record:
        """The first of them."""
        return self.decisions[-1]

    @property
    def level(self) -> str:
        """`info` for a change, `bad` for an error, empty for none."""
        return {"grow": "info", "shrink": "info", "error": "bad"}.get(str(self.newest["action"]), "")

    @property
    def title(self) -> str:
        """In plain words."""
        before, after = self.newest["nodes_before"], self.newest["nodes_after"]
        kept = f"Kept {before} node{'' if before == 1 else 's'}"
        return {
            "grow": f"Grew from {before} to {after} nodes",
            "shrink": f"Shrank from {before} to {after} node{'' if after == 1 else 's'}",
            "error": "Could not decide",
        }.get(str(self.newest["action"]), kept)


def verdicts(decisions: Iterable[Record]) -> list[Verdict]:
    """Decisions, newest first, with those that kept the same size put together."""
    groups: list[list[Record]] = []
    for decision in decisions:
        last = groups[-1][-1] if groups else None
        if last and _same_hold(last, decision):
            groups[-1].append(decision)
        else:
            groups.append([decision])
    return [Verdict(tuple(group)) for group in groups]


def _same_hold(one: Record, other: Record) -> bool:
    return all(decision["action"] == "hold" for decision in (one, other)) and (
        one["nodes_after"] == other["nodes_after"]
    )
