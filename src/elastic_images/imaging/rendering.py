"""Makes renditions: smaller versions of stored images."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from elastic_images.core.errors import NotAnImage
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.imaging import Rendition
from elastic_images.imaging.inspection import open_image
from elastic_images.imaging.structure import FORMATS, Buffer, sniff

_QUALITY = 82
_NOT_IN_BROWSERS = frozenset({"TIFF"})


def render(data: Buffer, spec: RenditionSpec) -> Rendition:
    """A rendition of the image `data`.

    It shows the first frame, upright by its EXIF orientation, without metadata, as JPEG, or as PNG if it has
    transparency. Images already smaller than the rendition are returned unchanged, unless browsers cannot show their
    format.

    Raises:
        NotAnImage: an unsupported format.
        MemoryError: memory is short.
    """
    kind = sniff(data)
    if kind is None:
        raise NotAnImage("Unsupported format.")
    longest = max(spec.width or 0, spec.height or 0)
    with open_image(kind, data) as image:
        width, height = image.size
        if max(width, height) <= longest and kind not in _NOT_IN_BROWSERS:
            return Rendition(data[:], FORMATS[kind], width, height)
        # JPEGs can be decoded at 1/8, 1/4 or 1/2 of their size, which saves most of the work.
        image.draft(None, (longest, longest))
        return _smaller(image, longest)


def _smaller(image: Image.Image, longest: int) -> Rendition:
    upright = _upright(image)
    transparent = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
    smaller = upright.convert("RGBA" if transparent else "RGB")
    smaller.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    if transparent:
        smaller.save(made, "PNG")
        return Rendition(made.getvalue(), "image/png", *smaller.size)
    smaller.save(made, "JPEG", quality=_QUALITY, progressive=True)
    return Rendition(made.getvalue(), "image/jpeg", *smaller.size)


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - damaged EXIF makes Pillow raise all kinds of errors, but the image is fine
        return image
