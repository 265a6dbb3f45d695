"""The formats that are taken, and those that are refused by name. Recognised by content, never by a name or a type."""

from __future__ import annotations

import mmap
import re

from elastic_images.core.errors import BrokenImage, NotAnImage

Buffer = bytes | mmap.mmap

FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}
"""The supported formats, by Pillow's names, with their content types."""
_SUPPORTED = "JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF and BMP"

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_UNSUPPORTED = (
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n"), "a JPEG XL image"),
    (re.compile(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "a JPEG 2000 image"),
    (re.compile(rb"\x00\x00\x01\x00[^\x00]\x00|\x00\x00\x02\x00[^\x00]\x00"), "a Windows icon (ICO)"),
    (re.compile(rb"8BPS"), "a Photoshop document (PSD)"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"....ftypcrx |FUJIFILMCCD-RAW|IIU\x00|II[RS][OS]|MMOR", re.DOTALL), "a camera RAW file"),
    (re.compile(rb"....ftyp(isom|iso\d|mp4\d|avc1|M4V |qt  )", re.DOTALL), "a video"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(svg[\s>]|(\?xml|!--|!DOCTYPE svg).*?<svg[\s>])", re.DOTALL), "an SVG drawing"),
)


def sniff(data: Buffer) -> str | None:
    """The format by the magic number; None if it is none of `FORMATS`."""
    start = data[:18]
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith(_TIFF_STARTS):
        return "TIFF"
    if start[4:8] == b"ftyp":
        brands = _brands(data)
        return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None
    if start.startswith(b"BM") and int.from_bytes(start[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return None


def not_supported(what: str = "") -> NotAnImage:
    """The refusal of what is no image of ours; `what` it is, if that is known."""
    return NotAnImage(f"{f'This is {what}' if what else 'Unsupported format'}: upload {_SUPPORTED}.")


def damaged(kind: str, reason: str) -> BrokenImage:
    """The refusal of an image whose pixels are not all there."""
    return BrokenImage(f"This {kind} image is damaged or truncated: {reason}.")


def kind_of(data: Buffer) -> str:
    """The format. Raises NotAnImage, which names formats that people might expect to be taken."""
    found = sniff(data)
    if found is None:
        start = data[:4096]
        raise not_supported(next((name for pattern, name in _UNSUPPORTED if pattern.match(start)), ""))
    return found


def _brands(data: Buffer) -> frozenset[bytes]:
    """Major and compatible brands of a file type box (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(data[:4], "big"), 512)
    box = bytes(data[8:end])
    return frozenset(box[place : place + 4] for place in range(0, len(box), 4) if place != 4)
