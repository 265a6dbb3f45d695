"""What the checker reports as wrong."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Finding(TypedDict):
    """One answer that should not have been given."""

    kind: str
    """`read`, `write`, `stale read`, `failed read` or `lost write`."""
    key: int
    name: NotRequired[str]
    """The key as it was asked for: renames change it."""
    query: NotRequired[str]
    """What a rendition was asked for by."""
    what: NotRequired[str]
    status: NotRequired[int | None]
    """None: no answer."""
    body: NotRequired[str]
    acknowledged: NotRequired[int]
    """The newest step that was acknowledged before the read began."""
    person: NotRequired[str]
    """Who read."""
    got: NotRequired[str]
    cache: NotRequired[str]
    """The `X-Cache` of the answer."""
    at: NotRequired[float]
    """When, in seconds since the epoch."""
