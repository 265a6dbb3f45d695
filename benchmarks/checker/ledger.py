"""What was done to each key and what was acknowledged, shared by all processes of the checker."""

from __future__ import annotations

import multiprocessing
from multiprocessing.sharedctypes import RawArray

from benchmarks.checker.states import State

_STEPS = 64
"""So many steps of a key are remembered."""


class Ledger:
    """For each key what its steps make of it, the newest step, and the newest that was acknowledged.

    Steps of a key grow by one with each attempt to change it. A key has one writer, which alone adds steps, and does
    not begin one whose outcome depends on another that was not acknowledged; any number of processes read. A state is
    one aligned machine word, so no reader sees half of it.
    """

    def __init__(self, keys: int) -> None:
        self._acknowledged = RawArray("q", keys)
        self._begun = RawArray("q", keys)
        self._states = RawArray("q", [State().pack()] * (keys * _STEPS))
        self.keys = keys

    def acknowledged(self, key: int) -> int:
        """The newest acknowledged step; 0 before the first, when there is nothing."""
        return int(self._acknowledged[key])

    def begun(self, key: int) -> int:
        """The newest step that has begun."""
        return int(self._begun[key])

    def state(self, key: int, step: int) -> State:
        """What one of the last steps makes of the key."""
        return State.unpack(self._states[key * _STEPS + step % _STEPS])

    def begin(self, key: int, step: int, state: State) -> None:
        """`step`, which is about to begin, makes this of the key, if it takes effect."""
        self._states[key * _STEPS + step % _STEPS] = state.pack()
        self._begun[key] = step

    def acknowledge(self, key: int, step: int) -> None:
        """The system has acknowledged `step`."""
        self._acknowledged[key] = step

    def possible(self, key: int, seen: int) -> list[State] | None:
        """All that the key can have been since `seen` was acknowledged, the newest. None: it is not known any more."""
        states = [self.state(key, step) for step in range(seen, self.begun(key) + 1)]
        # Looked at again: the ring may have come around meanwhile.
        return states if self.begun(key) - seen < _STEPS else None


class Totals:
    """Counters shared by processes."""

    NAMES = (
        "reads",
        "rendition_reads",
        "conditional_reads",
        "hidden_reads",
        "refused_reads",
        "writes",
        "deletes",
        "restores",
        "visibility_changes",
        "renames",
        "revocations",
        "refused_writes",
        "failed_reads",
        "stale_reads",
        "wrong_people",
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
