"""Images derived from others, and how caches name them.

A cache keeps a rendition under the image's key, a NUL, and the rendition's name. No key has a NUL, so that the name is
never a key; the part before it says which partition it belongs to and which invalidation drops it.
"""

from __future__ import annotations

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import RenditionSpec

PRESETS = {"thumb": RenditionSpec(320, 320), "preview": RenditionSpec(1600, 1600)}
"""The renditions there are, by name."""

_MARK = "\0"


def rendition_name(key: str, rendition: str | None) -> str:
    """The name of a rendition of `key` in caches; the key itself for None. Raises InvalidRequest if unknown."""
    if rendition is None:
        return key
    if rendition not in PRESETS:
        raise InvalidRequest(f"No rendition {rendition!r}: there are {', '.join(PRESETS)}.")
    return f"{key}{_MARK}{rendition}"


def split_name(name: str) -> tuple[str, str | None]:
    """The key and the rendition, or None, that a cache's `name` stands for."""
    key, _, rendition = name.partition(_MARK)
    return key, rendition or None


def names_of(key: str) -> tuple[str, ...]:
    """All names under which a cache may keep entries of `key`."""
    return (key, *(f"{key}{_MARK}{rendition}" for rendition in PRESETS))
