"""What a key can be: an image under one name, visible to some, or nothing. And what readers are shown of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from elastic_images.core.visibility import VISIBILITIES, Visibility

Viewer = Literal["visitor", "member", "owner", "admin"]

_SEEN_BY: dict[Viewer, frozenset[Visibility]] = {
    "visitor": frozenset({"public"}),
    "member": frozenset({"public", "members"}),
    "owner": frozenset(VISIBILITIES),
    "admin": frozenset(VISIBILITIES),
}
"""Written down again, for the system's own rule is what is checked."""
_BODY, _NAME = 1 << 24, 1 << 18


class State(NamedTuple):
    """A key after one of its steps."""

    body: int = 0
    """The step that wrote its image; 0: there is none."""
    visibility: Visibility = "public"
    name: int = 0
    """The number of the name that it has: renames change it."""
    left: int = -1
    """The name that its last rename took the image from: there is nothing under it. -1: no such name is known."""

    def pack(self) -> int:
        """As one word."""
        return ((self.left + 1) * _NAME + self.name) * _BODY * 4 + self.body * 4 + VISIBILITIES.index(self.visibility)

    @classmethod
    def unpack(cls, word: int) -> State:
        """The state in a word of `pack`."""
        rest, visibility = divmod(word, 4)
        rest, body = divmod(rest, _BODY)
        left, name = divmod(rest, _NAME)
        return cls(body, VISIBILITIES[visibility], name, left - 1)

    @property
    def names(self) -> tuple[int, ...]:
        """The names of which it says something."""
        return (self.name,) if self.left < 0 else (self.name, self.left)


class Got(NamedTuple):
    """What an answer gave away."""

    kind: Literal["image", "facts", "nothing", "refused", "another's"]
    body: int = 0
    """The step that wrote the image, or of another key's its number; not known of facts."""
    visibility: Visibility | None = None
    """Said by facts."""


NOTHING, REFUSED = Got("nothing"), Got("refused")


def shown(state: State, name: int, viewer: Viewer, *, facts: bool = False) -> Got:
    """What a viewer gets who asks for a name of the key."""
    if not state.body or state.name != name or state.visibility not in _SEEN_BY[viewer]:
        return NOTHING
    return Got("facts", visibility=state.visibility) if facts else Got("image", state.body)


def what_is_wrong(states: Iterable[State], name: int, viewers: Iterable[Viewer | None], got: Got) -> str | None:
    """What is wrong with an answer, if the key was in one of `states` and the reader was one of `viewers`.

    A viewer of None may be refused; the others may not. Messages about the wrong person begin with "shown".
    """
    all_states, all_viewers = list(states), list(viewers)
    people = [viewer for viewer in all_viewers if viewer is not None]
    if got == REFUSED:
        return None if None in all_viewers else "refused"
    facts = got.kind == "facts"
    if any(shown(state, name, viewer, facts=facts) == got for state in all_states for viewer in people):
        return None
    if got == NOTHING:
        return None if not people else "not found"
    to = " or ".join(people) or "revoked"
    for state in all_states:
        if shown(state, name, "owner", facts=facts) == got:
            return f"shown to {to}: {_named(got)}, which is {state.visibility}"
    return _named(got)


def _named(got: Got) -> str:
    if got.kind == "another's":
        return f"an image of key {got.body}"
    return f"the image of step {got.body}" if got.kind == "image" else f"facts that say {got.visibility}"
