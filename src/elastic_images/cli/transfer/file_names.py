"""File names for exported images, unique on every file system.

`images/3f/beach-3f0c...e1.jpg`: a readable part of the key, then part of the key's digest, which makes it unique. Only
lower-case ASCII letters, digits and `-`: case and Unicode normal forms do not matter. Names are short, never reserved
(`con`), never end in a character that Windows strips, and never clash with a folder.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

IMAGES_FOLDER = "images"
SUFFIXES = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "WEBP": "webp",
    "AVIF": "avif",
    "HEIF": "heic",
    "TIFF": "tif",
    "BMP": "bmp",
}
"""By format."""

_READABLE_CHARACTERS = 40
_DIGEST_CHARACTERS = 32
_SHARD_CHARACTERS = 2
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|gif|webp|avif|hei[cf]|tiff?|bmp)$", re.IGNORECASE)
_OTHERS = re.compile(r"[^a-z0-9]+")


def file_name(key: str, format_: str) -> str:
    """The path of an image's file inside an export, with `/` between its parts.

    A key and a format give one name. Names of different keys differ, since they contain 128 bits of SHA-256.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    stem = "-".join(part for part in (_readable(key), digest) if part)
    return f"{IMAGES_FOLDER}/{digest[:_SHARD_CHARACTERS]}/{stem}.{SUFFIXES.get(format_, 'bin')}"


def _readable(key: str) -> str:
    """A readable part of the key, from its end: many keys start with the same folder."""
    plain = unicodedata.normalize("NFKD", _IMAGE_SUFFIX.sub("", key)).encode("ascii", "ignore").decode().lower()
    return _OTHERS.sub("-", plain).strip("-")[-_READABLE_CHARACTERS:].strip("-")
