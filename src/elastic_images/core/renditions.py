"""How caches name renditions.

A cache keeps a rendition under the image's key, a NUL, and the canonical form of its spec. No key has a NUL, so that
the name is never a key; the part before it says which partition it belongs to and which invalidation drops it.
"""

from __future__ import annotations

from collections.abc import Collection

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import RenditionSpec

PRESETS = {
    "thumb": RenditionSpec(320, 320),
    "preview": RenditionSpec(1600, 1600),
    "og": RenditionSpec(1200, 630, "cover"),
}
"""Renditions that always have a name. Settings add others (`core.rendition_bound`)."""

_MARK = "\0"


def rendition_name(key: str, spec: RenditionSpec) -> str:
    """The name of a rendition of `key` in caches."""
    return f"{key}{_MARK}{spec.canonical}"


def split_name(name: str) -> tuple[str, RenditionSpec | None]:
    """The key and the rendition, or None, that a cache's `name` stands for. Raises InvalidRequest if it is no name."""
    key, mark, text = name.partition(_MARK)
    return key, RenditionSpec.parse_canonical(text) if mark else None


def is_rendition(name: str) -> bool:
    """Whether this is the name of a rendition."""
    return _MARK in name


def is_name(name: str) -> bool:
    """Whether this is a name as `rendition_name` makes them, or a key."""
    try:
        split_name(name)
    except InvalidRequest:
        return False
    return True


def preset(name: str) -> RenditionSpec:
    """The preset of that name. Raises InvalidRequest if there is none."""
    if name not in PRESETS:
        raise InvalidRequest(f"No rendition {name!r}: there are {', '.join(PRESETS)}.")
    return PRESETS[name]


class NamesByKey:
    """The names of renditions, by their keys: an invalidation finds all of them without knowing any spec.

    Not safe for concurrent access. Names that are keys are not kept: nobody needs them to be found.
    """

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def add(self, name: str) -> None:
        """Add a name."""
        if _MARK in name:
            self._names.setdefault(name.partition(_MARK)[0], set()).add(name)

    def discard(self, name: str) -> None:
        """Remove a name, if it is there."""
        if _MARK in name:
            key = name.partition(_MARK)[0]
            names = self._names.get(key, set())
            names.discard(name)
            if not names:
                self._names.pop(key, None)

    def of(self, key: str) -> Collection[str]:
        """The names of the renditions of `key`, as they are now; then `key` itself."""
        return (*self._names.get(key, ()), key)
