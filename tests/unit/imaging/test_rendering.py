"""Renditions of every kind of image: their format, what they keep and what they do not."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageDraw
from testing.icc_profiles import P3, rgb_profile, srgb_curve
from testing.image_samples import HEIC, SAMPLES, encoded, exif
from testing.odd_images import chunk, grey16_png, png_header, png_of, segment, with_chunks

from elastic_images.core.errors import BrokenImage, NotAnImage
from elastic_images.core.rendition_spec import Format, RenditionSpec
from elastic_images.imaging.imaging import Rendition
from elastic_images.imaging.inspection import inspect
from elastic_images.imaging.rendering import render

THUMB = RenditionSpec(320, 320)
FORMATS: tuple[Format, ...] = ("jpeg", "png", "webp", "avif")
LEAKS = (
    b"secret",
    b"Exif",
    b"EXIF",
    b"http://ns.adobe.com",
    b"XMP ",
    b"tEXt",
    b"eXIf",
    b"ICC_PROFILE",
    b"iCCP",
    b"ICCP",
)


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (720, 480), **options: object) -> bytes:
    stream = io.BytesIO()
    gradient = Image.linear_gradient("L").resize(size)
    image = (gradient if mode in ("I;16", "F") else gradient.convert("RGB")).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(gradient)
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(made: Rendition) -> Image.Image:
    image = Image.open(io.BytesIO(made.data))
    image.load()
    assert image.size == (made.width, made.height)
    assert image.get_format_mimetype() == made.content_type
    assert not any(leak in made.data for leak in LEAKS)
    return image


@pytest.mark.parametrize(
    ("kind", "mode", "own"),
    [
        ("JPEG", "RGB", "JPEG"), ("JPEG", "L", "JPEG"), ("JPEG", "CMYK", "JPEG"),
        ("PNG", "RGB", "PNG"), ("PNG", "1", "PNG"), ("PNG", "P", "PNG"), ("PNG", "I;16", "PNG"), ("PNG", "LA", "PNG"),
        ("GIF", "P", "PNG"), ("WEBP", "RGB", "WEBP"), ("WEBP", "RGBA", "WEBP"), ("AVIF", "RGB", "AVIF"),
        ("BMP", "RGB", "JPEG"), ("TIFF", "RGB", "JPEG"), ("TIFF", "RGBA", "PNG"), ("TIFF", "CMYK", "JPEG"),
        ("TIFF", "LAB", "JPEG"), ("TIFF", "F", "JPEG"), ("TIFF", "I;16", "JPEG"), ("TIFF", "YCbCr", "JPEG"),
    ],
)  # fmt: skip
def test_every_kind_in_every_format(kind: str, mode: str, own: str) -> None:
    body = picture(kind, mode)
    assert opened(render(body, THUMB)).format == own
    for wanted in FORMATS:
        image = opened(render(body, RenditionSpec(320, 320, format=wanted)))
        assert (image.format, image.size) == (wanted.upper(), (320, 213))
        if wanted != "jpeg":
            assert (image.mode in ("RGBA", "LA")) == (mode in ("RGBA", "LA"))


def test_an_animation_is_shown_and_not_the_image_for_viewers_without_animations() -> None:
    for more in ([], [control(1, (3, 2), (5, 4))]):  # one without pixels is ignored
        body = animation_apart(*more, control(0, (8, 6), (0, 0)), lime(8, 6))
        assert colours(render(body, THUMB), (0, 0), (7, 5)) == [(0, 255, 0, 255)] * 2
    part = animation_apart(control(0, (3, 2), (5, 4)), lime(3, 2), control(2, (8, 6), (0, 0)))
    assert colours(render(part, THUMB), (4, 4), (5, 4)) == [(0, 0, 0, 0), (0, 255, 0, 255)]
    assert inspect(part).width == 8


@pytest.mark.parametrize("frames", [0, 0x8000_0000])
def test_an_animation_without_a_possible_number_of_frames_is_none(frames: int) -> None:
    body = animation_apart(control(0, (8, 6), (0, 0)), lime(8, 6), frames=frames)
    assert colours(render(body, THUMB), (0, 0)) == [(255, 0, 0, 255)]
    assert inspect(body).frames == 1


def test_a_wrong_number_of_frames_costs_nothing_where_the_file_is_whole() -> None:
    body = animation_apart(control(0, (8, 6), (0, 0)), lime(8, 6), frames=3)
    assert inspect(body).frames == 1
    with pytest.raises(BrokenImage):
        inspect(animation_apart(control(0, (8, 6), (0, 0)), lime(8, 6), frames=2)[:-12])


def animation_apart(*parts: bytes, frames: int = 1) -> bytes:
    """A red PNG of 8 x 6, followed by an animation."""
    still = png_of(
        png_header(8, 6), (b"\0" + b"\xff\0\0" * 8) * 6, before=[chunk(b"acTL", struct.pack(">II", frames, 0))]
    )
    return still[:-12] + b"".join(parts) + still[-12:]


def control(number: int, size: tuple[int, int], corner: tuple[int, int]) -> bytes:
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size, *corner, 1, 10, 0, 0))


def lime(width: int, height: int) -> bytes:
    return chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress((b"\0" + b"\0\xff\0" * width) * height))


def colours(made: Rendition, *places: tuple[int, int]) -> list[object]:
    image = opened(made).convert("RGBA")
    return [image.getpixel(place) for place in places]


def test_a_transparent_grey_of_16_bits_stays_transparent() -> None:
    body = with_chunks(grey16_png([0, 1000, 60_000], (6, 2)), chunk(b"tRNS", struct.pack(">H", 1000)))
    black, clear, light = (0, 0, 0, 255), (4, 4, 4, 0), (233, 233, 233, 255)
    assert colours(render(body, THUMB), (0, 0), (2, 0), (5, 0)) == [black, clear, light]


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_16_bits_in_either_order_of_bytes_look_the_same(mode: str) -> None:
    image = Image.new("I;16", (6, 2), 40_000)
    stream = io.BytesIO()
    (image if mode == "I;16" else image.convert("I").convert(mode)).save(stream, "TIFF")
    assert stream.getvalue()[:2] == (b"II" if mode == "I;16" else b"MM")
    assert inspect(stream.getvalue()).thumbhash
    assert colours(render(stream.getvalue(), RenditionSpec(6, format="png")), (0, 0)) == [(156, 156, 156, 255)]


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_an_image_with_a_palette_becomes_a_png(kind: str) -> None:
    assert opened(render(picture(kind, "P"), THUMB)).format == "PNG"


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_have_renditions(name: str) -> None:
    assert opened(render(SAMPLES[name][2], RenditionSpec(20, 20))).size == (20, 16)


def test_transparent_parts_are_white_in_a_jpeg() -> None:
    image = opened(render(picture("PNG", "RGBA"), RenditionSpec(100, format="jpeg")))
    assert min(image.getpixel((50, 0))) > 250  # type: ignore[arg-type]


def test_a_palette_is_kept() -> None:
    image = Image.new("P", (400, 300))
    image.putpalette([255, 0, 0, 10, 200, 30, 90, 90, 200])
    ImageDraw.Draw(image).rectangle((100, 100, 299, 199), fill=1)
    for transparency in (None, 1):
        stream = io.BytesIO()
        image.save(stream, "PNG", transparency=transparency)
        made = opened(render(stream.getvalue(), RenditionSpec(200, format="png")))
        assert made.mode == "P"
        middle = made.convert("RGBA").getpixel((100, 75))
        assert middle == ((10, 200, 30, 255) if transparency is None else (10, 200, 30, 0)) or middle[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "AVIF"])
def test_pictures_stand_upright(kind: str, orientation: int) -> None:
    """A red upper left quarter must be where the orientation says."""
    image = Image.new("RGB", (64, 48), (20, 60, 200))
    image.paste((230, 30, 30), (0, 0, 32, 24))
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif(orientation=orientation), **({"quality": 95} if kind != "PNG" else {}))
    made = opened(render(stream.getvalue(), RenditionSpec(32, 32, format="png"))).convert("RGB")
    assert made.size == ((32, 24) if orientation < 5 else (24, 32))
    red = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}[orientation]
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
        found = made.getpixel((made.width * (1 + 2 * corner[0]) // 4, made.height * (1 + 2 * corner[1]) // 4))
        assert isinstance(found, tuple)
        assert (found[0] > 150) == (corner == red)


def test_webp_is_not_turned_because_browsers_do_not() -> None:
    assert render(picture("WEBP", exif=exif(orientation=6)), THUMB).height == 213


def test_heic_is_turned_once() -> None:
    made = opened(render((HEIC / "turned.heic").read_bytes(), RenditionSpec(format="png")))
    assert made.size == (48, 64)
    red = made.convert("RGB").getpixel((36, 32))
    assert isinstance(red, tuple)
    assert red[0] > 200


def test_damaged_exif_costs_the_orientation_only() -> None:
    body = picture("JPEG")
    damaged = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01")
    assert render(body[:2] + damaged + body[2:], THUMB).width == 320


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("size", [(60, 40), (720, 480)])
def test_metadata_never_passes(kind: str, size: tuple[int, int]) -> None:
    profile = rgb_profile(P3, srgb_curve)
    more: dict[str, object] = {"comment": b"a secret"} if kind == "JPEG" else {}
    if kind != "TIFF":
        more["xmp"] = b"<x xmlns='http://ns.adobe.com/xap/1.0/'>a secret</x>"
    body = picture(kind, "RGB", size, exif=exif(), icc_profile=profile, **more)
    for wanted in (None, *FORMATS):
        image = opened(render(body, RenditionSpec(320, 320, format=wanted)))
        assert not {"exif", "icc_profile", "xmp", "comment"} & image.info.keys()


def test_a_small_clean_image_is_returned_as_it_is() -> None:
    for name in ("jpeg", "webp", "webp-lossless"):
        body = picture("JPEG", size=(300, 200), quality=40) if name == "jpeg" else SAMPLES[name][2]
        made = render(body, THUMB)
        assert made.data == body or len(made.data) < len(body)
    small = picture("JPEG", size=(300, 200), quality=10)
    assert render(small, THUMB).data == small
    assert render(small, RenditionSpec(format="webp")).content_type == "image/webp"


def test_a_small_image_that_weighs_more_than_its_rendition_is_encoded_again() -> None:
    heavy = picture("PNG", size=(300, 200), compress_level=0)
    assert len(render(heavy, THUMB).data) < len(heavy)


@pytest.mark.parametrize(
    "body",
    [
        with_chunks(SAMPLES["png"][2], chunk(b"tEXt", b"Author\0a secret")),
        SAMPLES["png"][2] + b"a secret behind the end",
        SAMPLES["jpeg"][2] + b"a secret behind the end",
        SAMPLES["avif"][2] + b"\0\0\0\x18uuida secret somewhere",
        encoded("GIF", "P", comment=b"a secret"),
    ],
)
def test_nothing_hides_in_a_small_image(body: bytes) -> None:
    assert b"secret" not in render(body, THUMB).data


def test_an_animation_shows_its_first_frame() -> None:
    for name in ("gif-animated", "png-animated", "webp-animated", "avif-animated", "tiff-pages"):
        made = opened(render(SAMPLES[name][2], RenditionSpec(format="png")))
        assert getattr(made, "n_frames", 1) == 1


def test_large_jpegs_are_progressive_and_small_ones_are_not() -> None:
    body = picture("JPEG", size=(1600, 1200))
    assert opened(render(body, RenditionSpec(1000))).info.get("progressive")
    assert not opened(render(body, RenditionSpec(999))).info.get("progressive")


def test_quality_is_obeyed() -> None:
    body = encoded("PNG")
    for kind in ("jpeg", "webp", "avif"):
        sizes = [len(render(body, RenditionSpec(format=kind, quality=quality)).data) for quality in (10, 50, 90)]
        assert sizes == sorted(set(sizes))


def test_what_is_no_image_has_no_rendition() -> None:
    with pytest.raises(NotAnImage):
        render(b"hello", THUMB)
    with pytest.raises(BrokenImage):
        render(SAMPLES["png"][2][:-100], THUMB)
