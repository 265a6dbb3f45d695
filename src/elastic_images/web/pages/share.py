"""The image page beyond metadata: links to copy, and whether a cache has the image."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g
from markupsafe import escape

from elastic_images.core.image_facts import PlacedImage
from elastic_images.web.services import Plane

_WORDS = {
    "HIT": ("good", "In memory", "The node served it from memory."),
    "HIT-NEAR": ("good", "In memory", "Popular enough that the web server keeps its own copy."),
    "MISS": ("info", "Just cached", "It was not in memory; the node has just fetched it from storage."),
    "BYPASS": ("warn", "Not cached", "The cache is unavailable; storage served it, more slowly."),
    "STALE": ("warn", "Possibly outdated", "Storage is not responding; this is the last cached copy."),
}
_UNKNOWN = ("bad", "Unknown", "The image can’t be read right now.")


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """How the data plane answered: its `X-Cache` value, and what to show for it."""

    word: str
    node: str | None
    kind: str
    title: str
    words: str


def cache_answer(plane: Plane, key: str) -> CacheAnswer:
    """Send a HEAD request as any client would, and describe where the answer came from."""
    path = f"/images/{key}".encode().decode("latin-1")
    headers = dict(plane.respond({"REQUEST_METHOD": "HEAD", "PATH_INFO": path}).headers)
    word = headers.get("X-Cache", "")
    return CacheAnswer(word, headers.get("X-Cache-Node"), *_WORDS.get(word, _UNKNOWN))


def share_texts(image: PlacedImage) -> list[tuple[str, str]]:
    """Pairs of label and text to copy."""
    url = f"{g.client.scheme}://{g.client.host}{image['url']}"
    name = image["key"].rpartition("/")[2]
    alt = "".join(f"\\{character}" if character in "\\[]" else character for character in name)
    html = f'<img src="{url}" alt="{escape(name)}" width="{image["width"]}" height="{image["height"]}">'
    return [("Link", url), ("HTML", html), ("Markdown", f"![{alt}]({url})")]
