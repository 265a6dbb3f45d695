"""What is an image and what is not: whole, cut off, disguised, too large."""

from __future__ import annotations

import io
import mmap
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from testing.image_samples import HEIC, SAMPLES, drawing, encoded
from testing.odd_images import big_tiff, chunk, grey16_png, interlaced_png, png_header, png_of, with_chunks
from testing.photographs import photographs

from elastic_images.core.errors import BrokenImage, EmptyBody, NotAnImage, TooLarge
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.formats import FORMATS, sniff
from elastic_images.imaging.imaging import Picture
from elastic_images.imaging.inspection import inspect
from elastic_images.imaging.limits import Limits
from elastic_images.imaging.rendering import render

UNUSED_TAIL = {"tiff-pages": 8}
"""Bytes at the end that no part of the file refers to: Pillow pads the last page."""
ENDS = {"JPEG": 2, "PNG": 21, "GIF": 2, "BMP": 3}
"""How many bytes may be missing at the end without costing a pixel."""


def basics(found: Picture) -> tuple[object, ...]:
    """All but the details."""
    return found.format, found.content_type, found.width, found.height, found.frames, found.damaged_tail


def pixels(body: bytes) -> bytes:
    """What a rendition of the same size shows."""
    with Image.open(io.BytesIO(render(body, RenditionSpec(format="png")).data)) as image:
        return image.convert("RGBA").tobytes()


@pytest.mark.parametrize("name", SAMPLES)
def test_whole_images_are_known_by_decoding(name: str) -> None:
    kind, frames, body = SAMPLES[name]
    assert basics(inspect(body)) == (kind, FORMATS[kind], 37, 29, frames, False)


@pytest.mark.parametrize("name", SAMPLES)
def test_images_cut_off_anywhere_are_refused_or_keep_every_pixel(name: str) -> None:
    kind, frames, body = SAMPLES[name]
    taken = 0
    for length in range(1, len(body) - UNUSED_TAIL.get(name, 0)):
        try:
            found = inspect(body[:length])
        except (BrokenImage, NotAnImage):
            continue
        taken += 1
        # A GIF does not say how many frames it has: cut off between two, it has lost nothing that could be seen.
        between = name == "gif-animated" and found.frames < frames
        assert body[length : length + 2] in (b"!\xf9", b"\0!") or not between
        frames_left = found.frames if between else frames
        assert basics(found) == (kind, FORMATS[kind], 37, 29, frames_left, kind != "BMP")
        assert pixels(body[:length]) == pixels(body)
    assert taken <= ENDS.get(kind, 0) * frames
    assert taken or kind not in ("JPEG", "PNG", "GIF")


@pytest.mark.parametrize("name", SAMPLES)
def test_bytes_behind_an_image_are_its_own_matter(name: str) -> None:
    kind, frames, body = SAMPLES[name]
    if kind in ("WEBP", "AVIF", "HEIF"):
        return  # their containers have a stated length, and what follows is judged by the decoder
    assert inspect(body + b"PK\x03\x04<script>alert(1)</script>").frames == frames


def test_photographs_pass() -> None:
    for photograph in photographs(27):
        found = inspect(photograph.body)
        assert (found.content_type, found.width, found.height) == (
            photograph.content_type,
            photograph.width,
            photograph.height,
        )


def test_a_mapped_file_is_read_as_bytes_are(tmp_path: Path) -> None:
    for name, (_, _, body) in SAMPLES.items():
        path = tmp_path / name
        path.write_bytes(body)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            assert inspect(data) == inspect(body)


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
        b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + b"\0" * 50,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"P6 2 2 255\n" + b"\0" * 12,
        b"\x00\x00\x01\x00\x01\x00" + b"\0" * 30,
    ],
)
def test_other_bytes_are_no_image(body: bytes) -> None:
    with pytest.raises(NotAnImage, match="JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF and BMP"):
        inspect(body)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "DDS"])
def test_other_formats_are_not_stored(kind: str) -> None:
    with pytest.raises(NotAnImage):
        inspect(encoded(kind))


def test_nothing_is_empty() -> None:
    with pytest.raises(EmptyBody):
        inspect(b"")


@pytest.mark.parametrize(
    "mark",
    [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"II*\0",
        b"\0\0\0\x14ftypavif\0\0\0\0avif",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\0" * 200, b"\xff" * 200, b"<script>" * 30])
def test_a_mark_alone_is_a_broken_image(mark: bytes, rest: bytes) -> None:
    assert sniff(mark + rest) is not None
    with pytest.raises(BrokenImage):
        inspect(mark + rest)


def test_a_changed_byte_in_a_png_is_found() -> None:
    body = bytearray(SAMPLES["png"][2])
    body[len(body) // 2] ^= 0x10
    with pytest.raises(BrokenImage):
        inspect(bytes(body))


def bomb(side: int) -> bytes:
    """A PNG that claims a size, with next to no bytes behind it."""
    return png_of(png_header(side, 1000 if side == 1001 else side), b"\0" * 10)


@pytest.mark.parametrize("side", [1001, 20_000, 2**31 - 1])
def test_bombs_are_refused_by_their_header(side: int) -> None:
    with pytest.raises(TooLarge, match=r"more than 1,000,000: .*MAX_IMAGE_PIXELS"):
        inspect(bomb(side), Limits(1_000_000))


def test_pixels_are_counted_over_all_frames() -> None:
    per_frame = 37 * 29
    for name in ("gif-animated", "png-animated", "webp-animated", "avif-animated", "tiff-pages"):
        _, frames, body = SAMPLES[name]
        for spare, taken in ((0, True), (1, False)):
            limits = Limits(per_frame, frames, frames * per_frame - spare)
            if taken:
                assert inspect(body, limits).frames == frames
            else:
                with pytest.raises(TooLarge, match="MAX_ANIMATION_PIXELS"):
                    inspect(body, limits)


def test_frames_are_counted_too() -> None:
    block = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    assert inspect(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + block * 3 + b";").frames == 3
    with pytest.raises(TooLarge, match=r"more than 2,000: .*MAX_FRAMES"):
        inspect(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + block * 2_001 + b";")


def test_a_jpeg_with_damaged_exif_is_an_image() -> None:
    """Cameras and tools write such files, and every viewer shows them."""
    body = SAMPLES["jpeg"][2]
    damaged = b"\xff\xe1\0\x14Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"
    assert inspect(body[:2] + damaged + body[20:]).format == "JPEG"


def test_a_jpeg_with_stray_bytes_between_its_segments_is_an_image() -> None:
    """Decoders look for the next marker, and so do we."""
    body = SAMPLES["jpeg"][2]
    assert inspect(body[:20] + b"\0stray\xff\xff\xff" + body[21:]).format == "JPEG"


def test_a_jpeg_with_a_second_picture_is_the_first_one() -> None:
    body = encoded("MPO", more=1)
    assert basics(inspect(body)) == ("JPEG", "image/jpeg", 37, 29, 1, False)
    assert inspect(body[: len(body) * 3 // 4]).format == "JPEG"


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"spAL"])
def test_a_wrong_checksum_in_an_ancillary_chunk_costs_nothing(kind: bytes) -> None:
    body = with_chunks(SAMPLES["png"][2], chunk(kind, b"Title\0\0 what it shows", checksum=1))
    assert inspect(body) == inspect(SAMPLES["png"][2])
    assert pixels(body) == pixels(SAMPLES["png"][2])


@pytest.mark.parametrize("kind", [b"PLTE", b"tRNS", b"IDAT"])
def test_a_wrong_checksum_in_a_chunk_of_pixels_is_damage(kind: bytes) -> None:
    with pytest.raises(BrokenImage, match="wrong checksum"):
        inspect(with_chunks(SAMPLES["png"][2], chunk(kind, b"\0" * 6, checksum=1)))


def test_texts_and_profiles_of_any_size_are_taken() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a valid text " * 300_000))
    profile = chunk(b"iCCP", b"huge\0\0" + zlib.compress(b"\0" * 3_000_000))
    body = with_chunks(SAMPLES["png"][2], text, profile)
    assert inspect(body) == inspect(SAMPLES["png"][2])
    assert pixels(body) == pixels(SAMPLES["png"][2])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(37, 29), (1, 1), (3, 2), (5, 9)])
def test_interlaced_images_are_checked_pass_by_pass(mode: str, size: tuple[int, int]) -> None:
    image = drawing(mode).resize(size)
    body = interlaced_png(image)
    assert inspect(body).width == size[0]
    with Image.open(io.BytesIO(body)) as read:
        assert read.convert(mode).tobytes() == image.tobytes()


def test_rows_are_checked_whatever_the_pieces() -> None:
    rows = b"".join(b"\1" + random.Random(y).randbytes(300 * 3) for y in range(300))
    for pieces in (1, 7, 400):
        assert inspect(png_of(png_header(300, 300), rows, pieces=pieces)).height == 300
        with pytest.raises(BrokenImage, match="rows are missing"):
            inspect(png_of(png_header(300, 300), rows[:-1], pieces=pieces))
    for place in (0, 901 * 150, 901 * 299):
        with pytest.raises(BrokenImage, match="unknown filter"):
            inspect(png_of(png_header(300, 300), rows[:place] + b"\5" + rows[place + 1 :]))


def test_zeros_that_inflate_to_more_than_the_image_are_not_inflated() -> None:
    assert inspect(png_of(png_header(9, 9), b"\0" * 300_000_000)).width == 9


def test_jpegs_whose_end_is_missing_are_refused_where_pixels_are() -> None:
    for name in ("jpeg", "jpeg-progressive", "jpeg-cmyk"):
        body = SAMPLES[name][2]
        assert inspect(body[:-2]).damaged_tail
        with pytest.raises(BrokenImage, match="end is missing"):
            inspect(body[:-5])


@pytest.mark.parametrize("rows", [1, 7, 2**32 - 1])
def test_big_tiffs_with_long_strips_are_taken(rows: int) -> None:
    image = drawing("L")
    assert basics(inspect(big_tiff(image, rows))) == ("TIFF", "image/tiff", 37, 29, 1, False)
    assert pixels(big_tiff(image, rows)) == image.convert("RGBA").tobytes()


def test_kinds_that_no_decoder_knows_are_unsupported_not_broken() -> None:
    body = SAMPLES["tiff"][2].replace(
        struct.pack("<HHI", 259, 3, 1) + b"\1\0", struct.pack("<HHI", 259, 3, 1) + b"\x98\x87"
    )
    with pytest.raises(NotAnImage, match="not supported"):
        inspect(body)


def test_wide_greys_are_images() -> None:
    assert inspect(grey16_png([0, 30_000, 65_535], (30, 9))).format == "PNG"


def test_heic_is_known_by_content() -> None:
    found = inspect((HEIC / "alpha.heic").read_bytes())
    assert basics(found) == ("HEIF", "image/heic", 64, 48, 1, False)
