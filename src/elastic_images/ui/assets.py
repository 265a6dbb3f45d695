"""Static files under URLs that change with their content, so that browsers can cache them forever."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_DIGEST_CHARACTERS = 12
_COMPRESSED = ("text/", "application/javascript", "image/svg+xml")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".md": "text/markdown"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    content: bytes
    content_type: str
    gzipped: bytes | None
    """Compressed content; None if it is not smaller."""


class Assets:
    """Files from several folders, in memory. Immutable, so thread-safe.

    All files share one digest in their URLs, so scripts can import each other by relative paths; changing any file
    changes every URL.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """`folders` maps the first URL segment to a folder. Raises OSError."""
        found = {
            f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for name, folder in folders.items()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        digest = hashlib.sha256()
        for name, content in sorted(found.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.digest = digest.hexdigest()[:_DIGEST_CHARACTERS]
        self._files = {name: _asset(name, content) for name, content in found.items()}

    def get(self, name: str) -> Asset | None:
        """The file `<folder>/<path>`, or None."""
        return self._files.get(name)

    def address(self, name: str) -> str:
        """The URL of a file. Raises KeyError if it does not exist: a mistake in a template."""
        if name not in self._files:
            raise KeyError(f"there is no asset {name!r}")
        return f"/assets/{self.digest}/{name}"


def _asset(name: str, content: bytes) -> Asset:
    suffix = Path(name).suffix
    content_type = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    gzipped = gzip.compress(content, mtime=0) if content_type.startswith(_COMPRESSED) else None
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    return Asset(content, content_type, gzipped if gzipped and len(gzipped) < len(content) else None)
