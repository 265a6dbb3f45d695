"""What an image's page says beyond the metadata: texts to copy, and whether a cache has the image."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g
from markupsafe import escape

from elastic_images.core.image_facts import PlacedImage
from elastic_images.web.services import Plane

_WORDS = {
    "HIT": ("good", "In memory", "The node answered from its memory."),
    "HIT-NEAR": ("good", "In memory", "It is so popular that web keeps a copy of its own."),
    "MISS": ("info", "Not until now", "It was not in memory. The node has fetched it from storage just now."),
    "BYPASS": ("warn", "Not cached", "The pool could not be asked. Storage answered, more slowly."),
    "STALE": ("warn", "Perhaps outdated", "Storage does not answer; this is what a cache still had."),
}
_UNKNOWN = ("bad", "Not known", "The image could not be read just now.")


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """How the data plane answered: its own word (`X-Cache`), and that word for people."""

    word: str
    node: str | None
    kind: str
    title: str
    words: str


def cache_answer(plane: Plane, key: str) -> CacheAnswer:
    """Ask for the image's head as any client would, and say where the answer came from."""
    path = f"/images/{key}".encode().decode("latin-1")
    headers = dict(plane.respond({"REQUEST_METHOD": "HEAD", "PATH_INFO": path}).headers)
    word = headers.get("X-Cache", "")
    return CacheAnswer(word, headers.get("X-Cache-Node"), *_WORDS.get(word, _UNKNOWN))


def share_texts(image: PlacedImage) -> list[tuple[str, str]]:
    """What to copy: its name, and the text."""
    url = f"{g.client.scheme}://{g.client.host}{image['url']}"
    name = image["key"].rpartition("/")[2]
    alt = "".join(f"\\{character}" if character in "\\[]" else character for character in name)
    html = f'<img src="{url}" alt="{escape(name)}" width="{image["width"]}" height="{image["height"]}">'
    return [("Link", url), ("HTML", html), ("Markdown", f"![{alt}]({url})")]
