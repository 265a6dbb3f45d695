"""The decisions of automatic mode in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from elastic_images.core.pool_document import DecisionRecord


@dataclass(frozen=True, slots=True)
class DecisionGroup:
    """One decision, or several in a row that left the pool as it was."""

    decisions: tuple[DecisionRecord, ...]
    """Newest first; at least one."""

    @property
    def newest(self) -> DecisionRecord:
        """The last decision."""
        return self.decisions[0]

    @property
    def oldest(self) -> DecisionRecord:
        """The first decision."""
        return self.decisions[-1]

    @property
    def level(self) -> str:
        """`info` for a change, `bad` for an error, otherwise empty."""
        return {"grow": "info", "shrink": "info", "error": "bad"}.get(self.newest["action"], "")

    @property
    def title(self) -> str:
        """In plain words."""
        before, after = self.newest["nodes_before"], self.newest["nodes_after"]
        kept = f"Kept {before} node{'' if before == 1 else 's'}"
        return {
            "grow": f"Grew from {before} to {after} nodes",
            "shrink": f"Shrank from {before} to {after} node{'' if after == 1 else 's'}",
            "error": "Could not decide",
        }.get(self.newest["action"], kept)


def grouped(decisions: Iterable[DecisionRecord]) -> list[DecisionGroup]:
    """Decisions, newest first; those in a row that kept the same size share a group."""
    groups: list[list[DecisionRecord]] = []
    for decision in decisions:
        last = groups[-1][-1] if groups else None
        if last and _same_hold(last, decision):
            groups[-1].append(decision)
        else:
            groups.append([decision])
    return [DecisionGroup(tuple(group)) for group in groups]


def _same_hold(one: DecisionRecord, other: DecisionRecord) -> bool:
    return one["action"] == other["action"] == "hold" and one["nodes_after"] == other["nodes_after"]
