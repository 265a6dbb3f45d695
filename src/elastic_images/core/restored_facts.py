"""Facts that an image brings along when an administrator restores it: owner, times, version, visibility."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.visibility import Visibility, parse_visibility

KEEP_FACTS_HEADER = "X-Keep-Facts"
"""Carries them, as JSON, with a PUT."""
KEEP_OWNER_ID_HEADER = "X-Keep-Owner-Id"
"""From web to storage only: the id of the user with the owner's name here."""

MAX_KEPT_VERSION = 10**15
"""Larger versions are mistakes, and not exact in every JSON reader."""
MAX_AHEAD_SECONDS = 86_400.0
"""How far the clock of the image's former system may be ahead of ours."""
MAX_OWNER_CHARACTERS = 255

_NAMES = frozenset({"owner", "created_at", "updated_at", "version"})
_LATER = "visibility"


@dataclass(frozen=True, slots=True)
class RestoredFacts:
    """What is kept of an image's history elsewhere. Times are seconds since the epoch."""

    owner: str | None
    created_at: float
    updated_at: float
    version: int
    owner_id: int | None = None
    """The user of that name here. None: there is none, and only administrators may change the image."""
    visibility: Visibility | None = None
    """None for images from systems without visibility: it is chosen as for any upload."""

    @classmethod
    def parse(cls, text: str, now: float) -> RestoredFacts:
        """Read the header. `now` is the current time.

        Raises:
            InvalidRequest: it is not a JSON object of exactly these facts (all but `visibility` are required), or one
                of them is invalid.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise _refused("is JSON") from None
        if not isinstance(value, dict) or value.keys() - {_LATER} != _NAMES:
            raise _refused(f"has {', '.join(sorted(_NAMES))}, optionally {_LATER}, and nothing else")
        return cls.of(value, now)

    @classmethod
    def of(cls, facts: Mapping[str, Any], now: float) -> RestoredFacts:
        """These facts out of `facts`, checked. Raises InvalidRequest, or KeyError if one is missing."""
        owner, created_at, updated_at = facts["owner"], facts["created_at"], facts["updated_at"]
        if not (owner is None or _is_name(owner)):
            raise _refused(f"has as owner null or a name of 1 to {MAX_OWNER_CHARACTERS} characters")
        if not (_is_time(created_at, now) and _is_time(updated_at, now) and created_at <= updated_at):
            raise _refused("has times in seconds since 1970, not in the future, and created_at not after updated_at")
        version = facts["version"]
        if type(version) is not int or not 1 <= version <= MAX_KEPT_VERSION:
            raise _refused(f"has as version a whole number from 1 to {MAX_KEPT_VERSION}")
        visibility = facts.get(_LATER)
        known = None if visibility is None else parse_visibility(visibility)
        return cls(owner, float(created_at), float(updated_at), version, visibility=known)

    def to_header(self) -> str:
        """As ASCII, for `parse`."""
        told = {name: getattr(self, name) for name in sorted(_NAMES)}
        return json.dumps(told if self.visibility is None else told | {_LATER: self.visibility})


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_OWNER_CHARACTERS and value.isprintable()


def _is_time(value: object, now: float) -> bool:
    # NaN compares false with everything, and ints of any length compare without overflow.
    return type(value) in (int, float) and 0 <= value <= now + MAX_AHEAD_SECONDS  # type: ignore[operator]


def _refused(rule: str) -> InvalidRequest:
    return InvalidRequest(f"{KEEP_FACTS_HEADER} {rule}.")
