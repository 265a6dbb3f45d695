"""The image page beyond metadata: links to copy, and whether a cache has the image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import g
from markupsafe import escape

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.image_facts import Actor, PlacedImage
from elastic_images.web.services import Plane

_WORDS = {
    "HIT": ("good", "In memory", "The node served it from memory."),
    "HIT-NEAR": ("good", "In memory", "Popular enough that the web server keeps its own copy."),
    "MISS": ("info", "Just cached", "It was not in memory; the node has just fetched it from storage."),
    "BYPASS": ("warn", "Not cached", "The cache is unavailable; storage served it, more slowly."),
    "STALE": ("warn", "Possibly outdated", "Storage is not responding; this is the last cached copy."),
}
SHARE_FORMATS = {
    "": "As uploaded",
    "auto": "Best for each browser",
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "avif": "AVIF",
}
"""The formats on offer, with their names for people."""
LASTING = {"3600": "an hour", "86400": "a day", "604800": "a week", "2592000": "30 days", "31536000": "a year"}
"""How long a signed link works: seconds, and the same for people."""
_LADDER = (320, 640, 960, 1280, 1920, 2560, 3840)
_UNKNOWN = ("bad", "Unknown", "The image can’t be read right now.")


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """How the data plane answered: its `X-Cache` value, and what to show for it."""

    word: str
    node: str | None
    kind: str
    title: str
    words: str


def cache_answer(plane: Plane, key: str, actor: Actor) -> CacheAnswer:
    """Send a HEAD request as `actor` would, and describe where the answer came from."""
    path = f"/images/{key}".encode().decode("latin-1")
    answer = plane.respond({"REQUEST_METHOD": "HEAD", "PATH_INFO": path}, actor)
    headers = dict(answer.headers) if answer is not None else {}
    word = headers.get("X-Cache", "")
    return CacheAnswer(word, headers.get("X-Cache-Node"), *_WORDS.get(word, _UNKNOWN))


@dataclass(frozen=True, slots=True)
class ShareChoice:
    """The size and format of the rendition to share. Widths in pixels."""

    sizes: tuple[int, ...]
    """The widths on offer: smaller than the image, and open to visitors."""
    size: int | None
    """None: the original size."""
    format: str
    """One of `SHARE_FORMATS`; empty: the original's."""

    @classmethod
    def of(cls, image: PlacedImage, arguments: Mapping[str, str], widths: Collection[int]) -> ShareChoice:
        """What the page's query chooses. Raises InvalidRequest."""
        sizes = tuple(width for width in _LADDER if width in widths and width < image["width"])
        size, wanted = arguments.get("size", ""), arguments.get("format", "")
        if wanted not in SHARE_FORMATS:
            raise InvalidRequest(f"format must be one of {', '.join(filter(None, SHARE_FORMATS))}, or empty.")
        if size not in ("", *map(str, sizes)):
            raise InvalidRequest(f"size must be empty{''.join(f' or {one}' for one in sizes)} for this image.")
        return cls(sizes, int(size) if size else None, wanted)

    def options(self, image: PlacedImage) -> list[tuple[str, str]]:
        """Pairs of value and label: every size as it will be displayed."""
        return [("", f"Original ({_pixels(image, image['width'])})")] + [
            (str(width), _pixels(image, width)) for width in self.sizes
        ]

    def query(self, width: int | None) -> str:
        """The parameters of the rendition of this width; empty for the original."""
        return urlencode({"w": width} if width else {}) + (
            f"{'&' if width else ''}format={self.format}" if self.format else ""
        )


def lasting_seconds(form: Mapping[str, str]) -> int:
    """How long a signed link is wanted. Raises InvalidRequest."""
    found = form.get("seconds", "")
    if found not in LASTING:
        raise InvalidRequest(f"seconds must be one of {', '.join(LASTING)}.")
    return int(found)


def share_texts(image: PlacedImage, choice: ShareChoice) -> list[tuple[str, str]]:
    """Pairs of label and text to copy."""
    origin = f"{g.client.scheme}://{g.client.host}"
    url = f"{origin}{image['url']}"
    name = image["key"].rpartition("/")[2]
    alt = "".join(f"\\{character}" if character in "\\[]" else character for character in name)
    address = _address(url, choice.query(choice.size))
    fixed = _address(f"{origin}{image['immutable_url']}", choice.query(choice.size))
    html = f'<img src="{escape(address)}"{_srcset(url, image, choice)} alt="{escape(name)}" {_size(image, choice)}>'
    return [("Link", address), ("HTML", html), ("Markdown", f"![{alt}]({address})"), ("Immutable link", fixed)]


def _address(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _height(image: PlacedImage, width: int) -> int:
    return max(1, round(image["height"] * width / image["width"]))


def _pixels(image: PlacedImage, width: int) -> str:
    return f"{width} × {_height(image, width)}"


def _size(image: PlacedImage, choice: ShareChoice) -> str:
    width = choice.size or image["width"]
    return f'width="{width}" height="{_height(image, width)}"'


def _srcset(url: str, image: PlacedImage, choice: ShareChoice) -> str:
    """The widths from which a browser chooses: up to twice the size that is shown, for dense screens."""
    shown = choice.size or image["width"]
    widths: list[int | None] = [width for width in choice.sizes if width <= 2 * shown]
    if 2 * shown >= image["width"]:
        widths.append(None)
    if len(widths) < 2:
        return ""
    found = [f"{escape(_address(url, choice.query(width)))} {width or image['width']}w" for width in widths]
    return f' srcset="{", ".join(found)}" sizes="(min-width: {shown}px) {shown}px, 100vw"'
