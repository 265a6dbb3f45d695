"""What is an image and what is not: whole, cut off, disguised, too large."""

from __future__ import annotations

import io
import mmap
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from testing.photographs import photographs

from elastic_images.core.errors import BrokenImage, EmptyBody, NotAnImage
from elastic_images.imaging.imaging import Picture
from elastic_images.imaging.inspection import ImageInspector
from elastic_images.imaging.structure import FORMATS, sniff


def drawing(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Noise and a figure: every row and every frame has bytes of its own."""
    image = Image.effect_noise((37, 29), 60).convert("RGB")
    ImageDraw.Draw(image).ellipse((5, 5, 20, 20), fill=(200, seed * 20, 30))
    return image.convert(mode)


def encoded(kind: str, mode: str = "RGB", *, more: int = 0, **options: object) -> bytes:
    stream = io.BytesIO()
    if more:
        options |= {"save_all": True, "append_images": [drawing(mode, seed + 1) for seed in range(more)]}
    drawing(mode).save(stream, kind, **options)
    return stream.getvalue()


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = "a description"
    return found


SAMPLES: dict[str, tuple[str, int, bytes]] = {
    "jpeg": ("JPEG", 1, encoded("JPEG")),
    "jpeg-progressive": ("JPEG", 1, encoded("JPEG", progressive=True)),
    "jpeg-grey": ("JPEG", 1, encoded("JPEG", "L")),
    "jpeg-cmyk": ("JPEG", 1, encoded("JPEG", "CMYK")),
    "jpeg-restarts": ("JPEG", 1, encoded("JPEG", restart_marker_rows=1)),
    "png": ("PNG", 1, encoded("PNG")),
    "png-bits": ("PNG", 1, encoded("PNG", "1")),
    "png-animated": ("PNG", 3, encoded("PNG", more=2)),
    "gif": ("GIF", 1, encoded("GIF", "P")),
    "gif-animated": ("GIF", 3, encoded("GIF", "P", more=2)),
    "webp": ("WEBP", 1, encoded("WEBP")),
    "webp-lossless": ("WEBP", 1, encoded("WEBP", "RGBA", lossless=True)),
    "webp-animated": ("WEBP", 3, encoded("WEBP", more=2)),
    "webp-exif": ("WEBP", 1, encoded("WEBP", exif=exif())),
    "avif": ("AVIF", 1, encoded("AVIF", speed=10)),
    "avif-animated": ("AVIF", 2, encoded("AVIF", more=1, speed=10)),
    "bmp": ("BMP", 1, encoded("BMP")),
    "bmp-bits": ("BMP", 1, encoded("BMP", "1")),
    "bmp-palette": ("BMP", 1, encoded("BMP", "P")),
    "tiff": ("TIFF", 1, encoded("TIFF")),
    "tiff-lzw": ("TIFF", 1, encoded("TIFF", compression="tiff_lzw")),
    "tiff-jpeg": ("TIFF", 1, encoded("TIFF", compression="jpeg")),
    "tiff-fax": ("TIFF", 1, encoded("TIFF", "1", compression="group4")),
    "tiff-pages": ("TIFF", 2, encoded("TIFF", more=1)),
}
UNUSED_TAIL = {"tiff-pages": 8}
"""Bytes at the end that no part of the file refers to: Pillow pads the last page."""


@pytest.fixture(scope="module")
def inspector() -> ImageInspector:
    return ImageInspector(max_pixels=1_000_000)


@pytest.mark.parametrize("name", SAMPLES)
def test_whole_images_are_known_by_decoding(inspector: ImageInspector, name: str) -> None:
    kind, frames, body = SAMPLES[name]
    assert inspector.inspect(body) == Picture(kind, FORMATS[kind], 37, 29, frames)


@pytest.mark.parametrize("name", SAMPLES)
def test_images_cut_off_anywhere_are_refused(inspector: ImageInspector, name: str) -> None:
    _, _, body = SAMPLES[name]
    for length in range(1, len(body) - UNUSED_TAIL.get(name, 0)):
        with pytest.raises((BrokenImage, NotAnImage)):
            inspector.inspect(body[:length])


@pytest.mark.parametrize("name", SAMPLES)
def test_bytes_behind_an_image_are_its_own_matter(inspector: ImageInspector, name: str) -> None:
    kind, frames, body = SAMPLES[name]
    if kind in ("WEBP", "AVIF"):
        return  # their containers have a stated length, and what follows is judged by the decoder
    assert inspector.inspect(body + b"PK\x03\x04<script>alert(1)</script>").frames == frames


def test_photographs_pass(inspector: ImageInspector) -> None:
    for photograph in photographs(27):
        found = inspector.inspect(photograph.body)
        assert (found.content_type, found.width, found.height) == (
            photograph.content_type,
            photograph.width,
            photograph.height,
        )


def test_a_mapped_file_is_read_as_bytes_are(inspector: ImageInspector, tmp_path: Path) -> None:
    for name, (_, _, body) in SAMPLES.items():
        path = tmp_path / name
        path.write_bytes(body)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            assert inspector.inspect(data) == inspector.inspect(body)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"hello, I am text",
        SVG,
        b"%PDF-1.7\n1 0 obj",
        b"PK\x03\x04" + b"\0" * 40,
        b"BM is how this text begins, and it is no bitmap",
        b"<html><body>GIF89a</body></html>",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 50,
        b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + b"\0" * 50,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"P6 2 2 255\n" + b"\0" * 12,
        b"\x00\x00\x01\x00\x01\x00" + b"\0" * 30,
    ],
)
def test_other_bytes_are_no_image(inspector: ImageInspector, body: bytes) -> None:
    with pytest.raises(NotAnImage, match="JPEG, PNG, GIF, WebP, AVIF, TIFF and BMP"):
        inspector.inspect(body)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "DDS"])
def test_other_formats_are_not_stored(inspector: ImageInspector, kind: str) -> None:
    with pytest.raises(NotAnImage):
        inspector.inspect(encoded(kind))


def test_nothing_is_empty(inspector: ImageInspector) -> None:
    with pytest.raises(EmptyBody):
        inspector.inspect(b"")


@pytest.mark.parametrize(
    "mark",
    [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"II*\0",
        b"\0\0\0\x14ftypavif\0\0\0\0avif",
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\0" * 200, b"\xff" * 200, b"<script>" * 30])
def test_a_mark_alone_is_a_broken_image(inspector: ImageInspector, mark: bytes, rest: bytes) -> None:
    assert sniff(mark + rest) is not None
    with pytest.raises(BrokenImage):
        inspector.inspect(mark + rest)


def test_a_changed_byte_in_a_png_is_found(inspector: ImageInspector) -> None:
    body = bytearray(SAMPLES["png"][2])
    body[len(body) // 2] ^= 0x10
    with pytest.raises(BrokenImage):
        inspector.inspect(bytes(body))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, with next to no bytes behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [1001, 20_000, 2**31 - 1])
def test_bombs_are_refused_by_their_header(inspector: ImageInspector, side: int) -> None:
    with pytest.raises(BrokenImage, match="more than 1,000,000 pixels"):
        inspector.inspect(png_header(side, 1000 if side == 1001 else side))


def test_pixels_are_counted_over_all_frames() -> None:
    per_frame = 37 * 29
    for name in ("gif-animated", "png-animated", "webp-animated", "tiff-pages"):
        _, frames, body = SAMPLES[name]
        assert ImageInspector(max_pixels=frames * per_frame).inspect(body).frames == frames
        with pytest.raises(BrokenImage, match="pixels over all frames"):
            ImageInspector(max_pixels=frames * per_frame - 1).inspect(body)


def test_frames_are_counted_too(inspector: ImageInspector) -> None:
    block = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    assert inspector.inspect(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + block * 3 + b";").frames == 3
    with pytest.raises(BrokenImage, match="more than 10000 frames"):
        inspector.inspect(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + block * 10_001 + b";")


def test_a_jpeg_with_damaged_exif_is_an_image(inspector: ImageInspector) -> None:
    """Cameras and tools write such files, and every viewer shows them."""
    body = SAMPLES["jpeg"][2]
    damaged = b"\xff\xe1\0\x14Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"
    assert inspector.inspect(body[:2] + damaged + body[20:]).format == "JPEG"


def test_a_jpeg_with_stray_bytes_between_its_segments_is_an_image(inspector: ImageInspector) -> None:
    """Decoders look for the next marker, and so do we."""
    body = SAMPLES["jpeg"][2]
    assert inspector.inspect(body[:20] + b"\0stray\xff\xff\xff" + body[21:]).format == "JPEG"


def test_a_jpeg_with_a_second_picture_is_the_first_one(inspector: ImageInspector) -> None:
    body = encoded("MPO", more=1)
    assert inspector.inspect(body) == Picture("JPEG", "image/jpeg", 37, 29, 1)
    assert inspector.inspect(body[: len(body) * 3 // 4]).format == "JPEG"
