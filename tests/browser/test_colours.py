"""Renditions look as Chromium shows the original: colours, transparency, and which side is up."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from testing.coloured_images import SIZE, Coloured, coloured

from elastic_images.core.rendition_spec import Format, RenditionSpec
from elastic_images.imaging.rendering import render

SHOW = """async ([type, body, wide]) => {
  const image = new Image();
  image.src = `data:${type};base64,${body}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  context.drawImage(image, 0, 0);
  const places = canvas.width > canvas.height ? wide : wide.map(([x, y]) => [y, x]);
  const at = ([x, y]) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data];
  return [canvas.width, canvas.height, places.map(at)];
}"""
EXACT, LOSSY = 3, 6
TABLE = {one.name: one for one in coloured()}
WIDE = [(x / 6, y / 4) for y in (1, 3) for x in (1, 3, 5)]
"""The middles of the patches, as parts of width and height."""
FORMATS: tuple[Format, ...] = ("jpeg", "png", "webp", "avif")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    found = browser.new_page()
    yield found
    found.close()


@pytest.mark.parametrize("name", TABLE)
def test_a_rendition_looks_like_the_original(page: Page, name: str) -> None:
    one = TABLE[name]
    width, height, shown = as_chromium_shows(page, one)
    for kind in FORMATS:
        made = render(one.body, RenditionSpec(SIZE[0] // 2, SIZE[0] // 2, format=kind))
        with Image.open(io.BytesIO(made.data)) as image:
            assert image.size == (width // 2, height // 2), kind
            found = image.convert("RGBA")
        allowed = LOSSY if one.lossy or kind != "png" else EXACT
        for place, original in zip(places(width, height), shown, strict=True):
            colour = found.getpixel((int(place[0] * found.width), int(place[1] * found.height)))
            assert isinstance(colour, tuple)
            see_through = (255, 255, 255, 255) if kind == "jpeg" else (*colour[:3], 0)
            wanted = original if original[3] else see_through
            differences = [abs(a - b) for a, b in zip(colour, wanted, strict=True)]
            assert max(differences) <= allowed, f"{kind} at {place}: {colour} instead of {wanted}"


def places(width: int, height: int) -> list[tuple[float, float]]:
    return WIDE if width > height else [(y, x) for x, y in WIDE]


def as_chromium_shows(page: Page, one: Coloured) -> tuple[int, int, list[tuple[int, ...]]]:
    width, height, colours = page.evaluate(SHOW, [one.content_type, base64.b64encode(one.body).decode(), WIDE])
    return width, height, [tuple(colour) for colour in colours]
