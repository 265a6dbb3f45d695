"""Makes renditions: smaller versions of stored images."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

from PIL import Image, ImageOps

from elastic_images.core.image_facts import ImageFacts
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.inspection import ImageInspector, open_image

_QUALITY = 82
_NOT_IN_BROWSERS = frozenset({"TIFF"})


class RenditionMaker:
    """Makes renditions, within the inspector's limit on concurrent decodes. Safe to share between threads."""

    def __init__(self, inspector: ImageInspector) -> None:
        self._inspector = inspector

    def make(self, facts: ImageFacts, data: bytes, spec: RenditionSpec) -> tuple[ImageFacts, bytes]:
        """The rendition of the image `data`, and facts with the rendition's type, length and digest.

        It shows the first frame, upright by its EXIF orientation, without metadata, as JPEG, or as PNG if it has
        transparency. Images already smaller than the rendition are returned unchanged, unless browsers cannot
        show their format.

        Raises:
            Unavailable: too many decodes are running.
        """
        longest = spec.width or max(facts.width, facts.height)
        if max(facts.width, facts.height) <= longest and facts.format not in _NOT_IN_BROWSERS:
            return facts, data
        with self._inspector.place(), open_image(facts.format, data) as image:
            # JPEGs can be decoded at 1/8, 1/4 or 1/2 of their size, which saves most of the work.
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
    except Exception:  # noqa: BLE001 - damaged EXIF makes Pillow raise all kinds of errors, but the image is fine
        return image
