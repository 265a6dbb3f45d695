"""The estimated cost of decoding."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from testing.odd_images import png_header, png_of

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import PRESETS
from elastic_images.imaging.admission import MEGABYTE
from elastic_images.imaging.costs import cost_of
from elastic_images.imaging.formats import FORMATS
from elastic_images.imaging.header import read_header
from elastic_images.imaging.headers.facts import Header

PHOTO = Header("JPEG", 4000, 3000, samples=1.5)


def test_an_ordinary_photograph_is_light_and_so_is_its_thumb() -> None:
    assert not cost_of(PHOTO, 5_000_000).heavy
    assert not cost_of(PHOTO, 5_000_000, PRESETS["thumb"]).heavy


def test_what_fits_into_a_box_costs_what_it_has_and_not_the_box() -> None:
    for sides in ((2040, 1356), (1356, 2040)):
        assert not cost_of(Header("JPEG", *sides, samples=1.5), 400_000, RenditionSpec(512, 512, format="avif")).heavy


def test_what_has_to_be_held_whole_is_heavy() -> None:
    progressive = Header("JPEG", 4000, 3000, samples=1.5, progressive=True, scans=10)
    assert cost_of(progressive, 5_000_000).memory_bytes > 2 * 1.5 * 12 * MEGABYTE
    for kind in ("WEBP", "AVIF", "HEIF"):
        assert cost_of(Header(kind, 4000, 3000), 1_000).memory_bytes > 100 * MEGABYTE


def test_what_takes_long_is_heavy_whatever_memory_it_takes() -> None:
    assert cost_of(Header("GIF", 500, 500, frames=1500), 1_000).heavy
    assert cost_of(Header("JPEG", 1000, 1000, progressive=True, scans=200), 1_000).heavy


@pytest.mark.parametrize("kind", FORMATS)
def test_more_pixels_never_cost_less(kind: str) -> None:
    specs = (None, RenditionSpec(300, 300), RenditionSpec(width=2000), RenditionSpec(height=900, format="avif"))
    for spec in specs:
        costs = [cost_of(Header(kind, side, side), 10_000, spec).memory_bytes for side in (1, 100, 2000, 9000)]
        assert costs == sorted(costs)


def test_a_bomb_of_few_bytes_is_known_by_its_size() -> None:
    webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + struct.pack("<I", 7_999 | 4_999 << 14) + b"\0" * 8
    assert cost_of(read_header(webp), len(webp)).memory_bytes > 480 * MEGABYTE
    png = png_of(png_header(10_000, 10_000), b"\0")
    assert cost_of(read_header(png), len(png)).memory_bytes < 60 * MEGABYTE, "rows are inflated one after another"
    assert cost_of(read_header(png), len(png), PRESETS["thumb"]).memory_bytes > 400 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are exact on Linux only")
def test_every_kind_of_image_keeps_within_its_cost() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "testing.limited_decoding"],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},  # as the template of the workers has it
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert done.stdout == ""
