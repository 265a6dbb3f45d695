"""Makes renditions: an image that was stored, and so decodes, made smaller."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

from PIL import Image, ImageOps

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.image_facts import ImageFacts
from elastic_images.core.renditions import RENDITIONS
from elastic_images.imaging.inspection import ImageInspector, open_image

_QUALITY = 82
_SHOWN_BY_NO_BROWSER = frozenset({"TIFF"})


class RenditionMaker:
    """Makes renditions, within the bound on decodes under way. Safe to share between threads."""

    def __init__(self, inspector: ImageInspector) -> None:
        self._inspector = inspector

    def make(self, facts: ImageFacts, data: bytes, rendition: str) -> tuple[ImageFacts, bytes]:
        """The rendition of the image `data`, with the facts changed to its own type, length and digest.

        The first frame, upright by its EXIF orientation, without metadata: JPEG, or PNG where it has transparency. An
        image that is not larger than the rendition is given back as it is, unless no browser would show it.

        Raises:
            InvalidRequest: there is no such rendition.
            Unavailable: all places for decoding are taken.
        """
        if rendition not in RENDITIONS:
            raise InvalidRequest(f"No rendition {rendition!r}: there are {', '.join(RENDITIONS)}.")
        longest = RENDITIONS[rendition]
        if max(facts.width, facts.height) <= longest and facts.format not in _SHOWN_BY_NO_BROWSER:
            return facts, data
        with self._inspector.place(), open_image(facts.format, data) as image:
            # JPEG can be decoded at an eighth, a quarter or half of its size, which saves most of the work.
            image.draft(None, (longest, longest))
            made, content_type = _smaller(image, longest)
        digest = hashlib.sha256(made).hexdigest()
        return replace(facts, sha256=digest, size_bytes=len(made), content_type=content_type), made


def _smaller(image: Image.Image, longest: int) -> tuple[bytes, str]:
    upright = _upright(image)
    transparent = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
    smaller = upright.convert("RGBA" if transparent else "RGB")
    smaller.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    if transparent:
        smaller.save(made, "PNG")
        return made.getvalue(), "image/png"
    smaller.save(made, "JPEG", quality=_QUALITY, progressive=True)
    return made.getvalue(), "image/jpeg"


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - whatever damaged EXIF makes Pillow raise, the image itself is whole
        return image
