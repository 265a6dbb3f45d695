"""What writers did, and whether a copy of the catalog is of one moment of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Operation(NamedTuple):
    """One acknowledged write. Times are by one clock."""

    key: str
    sha256: str | None
    """None: deleted."""
    began: float
    ended: float


@dataclass(slots=True)
class History:
    """The writes of one writer, one after another, to keys that no other writer touches."""

    initial: Mapping[str, str]
    """Each key's digest before the first write."""
    operations: list[Operation] = field(default_factory=list)

    def state(self) -> dict[str, str]:
        """Each key's digest now."""
        state = dict(self.initial)
        for one in self.operations:
            _apply(state, one)
        return state

    def moments(self, found: Mapping[str, str]) -> list[int]:
        """After how many operations the keys were as in `found`."""
        state = dict(self.initial)
        wrong = {key for key in state.keys() | found.keys() if state.get(key) != found.get(key)}
        matching = [] if wrong else [0]
        for number, one in enumerate(self.operations, 1):
            _apply(state, one)
            (wrong.discard if state.get(one.key) == found.get(one.key) else wrong.add)(one.key)
            if not wrong:
                matching.append(number)
        return matching


def moment_of(histories: Sequence[History], found: Sequence[Mapping[str, str]]) -> tuple[float, float] | None:
    """When the keys of all writers were as in `found`, which has an entry for each: from, to. None: never.

    A write takes effect between its beginning and its end.
    """
    since, until = float("-inf"), float("inf")
    for history, mine in zip(histories, found, strict=True):
        moments = history.moments(mine)
        if len(moments) != 1:  # no two writes make the same bytes
            return None
        (done,) = moments
        since = max([since, *(one.began for one in history.operations[:done])])
        until = min([until, *(one.ended for one in history.operations[done:])])
    return (since, until) if since <= until else None


def _apply(state: dict[str, str], one: Operation) -> None:
    if one.sha256 is None:
        state.pop(one.key, None)
    else:
        state[one.key] = one.sha256
