"""What was acknowledged, shared by all processes of the checker."""

from __future__ import annotations

import multiprocessing
from multiprocessing.sharedctypes import RawArray

_BODIES = 64
"""So many bodies of a key, in the order of their steps, are told apart by their latest restores."""


class Ledger:
    """For each key the newest acknowledged step of its one writer, and whether that step was a deletion.

    Steps of a key grow by one with each attempt to write or delete it. A key has one writer, which alone sets its
    step; any number of processes read. A step is one aligned machine word, so no reader sees half of it.
    """

    def __init__(self, keys: int) -> None:
        self._acknowledged = RawArray("q", keys)
        self._begun_deletions = RawArray("q", keys)
        self._begun_restores = RawArray("q", keys * _BODIES)
        self.keys = keys

    def acknowledged(self, key: int) -> int:
        """The newest acknowledged step; 0 before the first."""
        return int(self._acknowledged[key])

    def acknowledge(self, key: int, step: int) -> None:
        """The system has acknowledged `step`."""
        self._acknowledged[key] = step

    def deleting(self, key: int, step: int) -> None:
        """`step`, which is about to begin, is a deletion: from now on the key may be missing."""
        self._begun_deletions[key] = step

    def restoring(self, key: int, step: int, body: int) -> None:
        """`step`, which is about to begin, brings back the image that step `body` wrote."""
        self._begun_restores[key * _BODIES + body % _BODIES] = step << 32 | body

    def may_be_restored(self, key: int, seen: int, body: int) -> bool:
        """Whether the image of step `body` can be right for a read that began when `seen` was acknowledged."""
        step, restored = divmod(int(self._begun_restores[key * _BODIES + body % _BODIES]), 1 << 32)
        return body == restored and step >= seen

    def may_be_absent(self, key: int, seen: int) -> bool:
        """Whether "not found" can be right for a read that began when `seen` was acknowledged."""
        return seen == 0 or int(self._begun_deletions[key]) >= seen


class Totals:
    """Counters shared by processes."""

    NAMES = (
        "reads",
        "rendition_reads",
        "writes",
        "deletes",
        "restores",
        "refused_writes",
        "failed_reads",
        "stale_reads",
        "retried_reads",
        "bypassed",
        "lost_writes",
    )

    def __init__(self) -> None:
        self._values = {name: multiprocessing.Value("q", 0) for name in self.NAMES}
        self._longest = {name: multiprocessing.Value("d", 0.0) for name in ("read", "write")}

    def add(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        value = self._values[name]
        with value.get_lock():
            value.value += amount

    def took(self, what: str, seconds: float) -> None:
        """Record how long a `read` with all its attempts, or one attempt to `write`, took."""
        longest = self._longest[what]
        if seconds > longest.value:
            with longest.get_lock():
                longest.value = max(longest.value, seconds)

    def longest(self) -> dict[str, float]:
        """The longest read and the longest write since this was last asked, in seconds."""
        found = {}
        for name, longest in self._longest.items():
            with longest.get_lock():
                found[name], longest.value = round(longest.value, 2), 0.0
        return found

    def read(self) -> dict[str, int]:
        """All of them."""
        return {name: int(value.value) for name, value in self._values.items()}
