"""What an exported image's file is called: a name that every file system can keep apart from all others.

`images/3f/beach-3f0c...e1.jpg`: a readable part of the key, and behind it a part of the key's digest, by which no two
names are the same. Lower-case ASCII letters, digits and `-` only, so that neither letters' case nor Unicode's normal
forms matter; no reserved name (`con`), nothing at the end that Windows cuts off; short; and no file where another key
needs a folder.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

IMAGES_FOLDER = "images"
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif", "TIFF": "tif", "BMP": "bmp"}
"""By format."""

_READABLE_CHARACTERS = 40
_DIGEST_CHARACTERS = 32
_SHARD_CHARACTERS = 2
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|gif|webp|avif|tiff?|bmp)$", re.IGNORECASE)
_OTHERS = re.compile(r"[^a-z0-9]+")


def file_name(key: str, format_: str) -> str:
    """The path of an image's file inside an export, with `/` between its parts.

    One key has one name for each format. Two keys have different names, since 128 bits of SHA-256 are in them.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    stem = "-".join(part for part in (_readable(key), digest) if part)
    return f"{IMAGES_FOLDER}/{digest[:_SHARD_CHARACTERS]}/{stem}.{SUFFIXES.get(format_, 'bin')}"


def _readable(key: str) -> str:
    """What is readable of the key's end: its beginning is often a folder that many have."""
    plain = unicodedata.normalize("NFKD", _IMAGE_SUFFIX.sub("", key)).encode("ascii", "ignore").decode().lower()
    return _OTHERS.sub("-", plain).strip("-")[-_READABLE_CHARACTERS:].strip("-")
