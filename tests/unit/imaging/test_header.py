"""What headers say, and that reading them costs little whatever they hold."""

from __future__ import annotations

import struct
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.image_samples import SAMPLES, encoded
from testing.odd_images import chunk, png_header, scan_bomb, segment, with_chunks

from elastic_images.core.errors import BrokenImage, ElasticImagesError, NotAnImage, TooLarge
from elastic_images.imaging.header import read_header
from elastic_images.imaging.headers.facts import MAX_PARTS, Header
from elastic_images.imaging.headers.jpeg import MAX_SCANS
from elastic_images.imaging.limits import Limits


@pytest.mark.parametrize("name", SAMPLES)
def test_headers_say_what_decoders_find(name: str) -> None:
    kind, frames, body = SAMPLES[name]
    found = read_header(body)
    assert (found.format, found.width, found.height, found.frames, found.whole) == (kind, 37, 29, frames, True)
    assert found.total_pixels == 37 * 29 * frames
    assert found.progressive == (name in ("jpeg-progressive", "png-interlaced"))


@pytest.mark.parametrize(
    ("name", "has_extras"),
    [("jpeg", False), ("png", False), ("webp", False), ("avif", False), ("gif", False), ("webp-exif", True)],
)
def test_extras_are_seen(name: str, has_extras: bool) -> None:
    body = SAMPLES[name][2]
    assert read_header(body).has_extras == has_extras
    assert read_header(body + b"a secret behind the end").has_extras


@pytest.mark.parametrize("more", [segment(0xE1, b"Exif\0\0"), segment(0xFE, b"hello"), segment(0xE2, b"ICC_PROFILE\0")])
def test_every_segment_of_metadata_is_an_extra(more: bytes) -> None:
    body = SAMPLES["jpeg"][2]
    assert read_header(body[:2] + more + body[2:]).has_extras


def test_a_text_in_a_png_is_an_extra() -> None:
    assert read_header(with_chunks(SAMPLES["png"][2], chunk(b"tEXt", b"Author\0me"))).has_extras
    assert not read_header(with_chunks(SAMPLES["png"][2], chunk(b"pHYs", b"\0" * 9))).has_extras


def test_empty_scans_are_counted_not_decoded() -> None:
    bomb = scan_bomb(8000, 8000, 1500)
    assert len(bomb) < 300_000
    started = time.process_time()
    with pytest.raises(BrokenImage, match=f"more than {MAX_SCANS} scans"):
        read_header(bomb)
    assert time.process_time() - started < 1
    assert read_header(scan_bomb(64, 64, MAX_SCANS)).scans == MAX_SCANS


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xff\xd8" + b"\xff\xd8" * (MAX_PARTS + 9),
        png_header(9, 9) + chunk(b"teXt", b"") * (MAX_PARTS + 9),
        b"RIFF\xff\xff\xff\x7fWEBP" + b"EXIF\0\0\0\0" * (MAX_PARTS + 9),
        b"\0\0\0\x14ftypavif\0\0\0\0avif" + b"\0\0\0\x08free" * (MAX_PARTS + 9),
        b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * (MAX_PARTS + 9),
        b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1\0" * 4_000_000,
    ],
    ids=["segments", "chunks", "riff", "boxes", "blocks", "sub-blocks"],
)
def test_files_of_nothing_but_parts_are_refused(bomb: bytes) -> None:
    with pytest.raises(BrokenImage):
        read_header(bomb)


def test_directories_that_lead_in_a_circle_end() -> None:
    body = bytearray(SAMPLES["tiff-pages"][2])
    first = struct.unpack_from("<I", body, 4)[0]
    entries = struct.unpack_from("<H", body, first)[0]
    following = first + 2 + 12 * entries
    second = struct.unpack_from("<I", body, following)[0]
    struct.pack_into("<I", body, second + 2 + 12 * struct.unpack_from("<H", body, second)[0], first)
    assert read_header(bytes(body)).frames == 2


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\xff\x0a" + b"\0" * 20, "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 20, "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 20, "JPEG 2000"),
        (b"\0\0\1\0\1\0" + b"\0" * 30, "ICO"),
        (b"8BPS\0\1" + b"\0" * 30, "PSD"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg viewBox='0 0 1 1'></svg>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera RAW"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "video"),
        (b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 30, "CR2"),
    ],
)
def test_known_formats_are_refused_by_name(body: bytes, name: str) -> None:
    with pytest.raises(NotAnImage, match=name):
        read_header(body)


def _tiff(*tags: tuple[int, int, int, int], more: bytes = b"") -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + more


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ([(256, 3, 1, 9), (257, 3, 1, 9), (50706, 1, 4, 0x401)], "DNG"),
        ([(256, 3, 1, 9), (257, 3, 1, 9), (262, 3, 1, 32803)], "camera RAW"),
        ([(256, 3, 1, 9), (257, 3, 1, 9), (271, 2, 18, 62), (330, 4, 1, 80)], "NEF"),
    ],
)
def test_raw_files_in_the_clothes_of_tiff_are_refused_by_name(tags: list[tuple[int, int, int, int]], name: str) -> None:
    below = struct.pack("<HHHIII", 1, 262, 3, 1, 32803, 0)
    with pytest.raises(NotAnImage, match=name):
        read_header(_tiff(*tags, more=b"NIKON CORPORATION\0" + below))


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xCB])
def test_other_kinds_of_jpeg_are_unsupported_not_broken(marker: int) -> None:
    body = SAMPLES["jpeg"][2].replace(b"\xff\xc0", bytes([0xFF, marker]))
    with pytest.raises(NotAnImage):
        read_header(body)


def test_limits_name_their_setting() -> None:
    limits = Limits(max_image_pixels=100, max_frames=4, max_animation_pixels=300)
    limits.check(Header("GIF", 10, 10, 3))
    for header, setting in (
        (Header("PNG", 10, 11), "MAX_IMAGE_PIXELS"),
        (Header("HEIF", 10, 10, largest_pixels=101), "MAX_IMAGE_PIXELS"),
        (Header("GIF", 1, 1, 5), "MAX_FRAMES"),
        (Header("GIF", 10, 10, 4), "MAX_ANIMATION_PIXELS"),
    ):
        with pytest.raises(TooLarge, match=setting):
            limits.check(header)


def test_what_people_have_is_within_the_limits() -> None:
    for header in (
        Header("JPEG", 9248, 6944),  # a 64 megapixel phone
        Header("GIF", 480, 360, 290),
        Header("TIFF", 2480, 3508, 6),
        Header("PNG", 10_000, 10_000),
        Header("GIF", 1000, 500, 2000),
    ):
        Limits().check(header)


def test_the_webp_of_a_few_bytes_is_known_by_its_size() -> None:
    body = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + struct.pack("<I", 16_382 | 8_191 << 14) + b"\0" * 8
    found = read_header(body)
    assert (found.width, found.height) == (16_383, 8_192)
    with pytest.raises(TooLarge):
        Limits().check(found)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_no_bytes_at_all_surprise_the_readers(name: str, data: st.DataObject) -> None:
    body = bytearray(SAMPLES[name][2])
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, min(len(body), 600) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ElasticImagesError):
        assert read_header(bytes(body[: data.draw(st.integers(0, len(body)))])).width > 0


def test_frames_may_be_larger_than_the_canvas() -> None:
    body = bytearray(encoded("GIF", "P"))
    body[6:10] = struct.pack("<HH", 1, 1)
    assert (read_header(bytes(body)).width, read_header(bytes(body)).height) == (37, 29)
