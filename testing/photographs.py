"""Photographs for tests: those in the scikit-image wheel, varied in size, crop and format.

Nothing of scikit-image is imported; only the files of its data folder are read. The same arguments give the same
photographs, byte for byte, on one installation of Pillow.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

SOURCES = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "motorcycle_right.png", "retina.jpg",
    "rocket.jpg",
)  # fmt: skip
"""Files of the data folder that are photographs; the folder's others are drawings and arrays."""

_LONGEST_SIDE = 480
_FORMATS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("JPEG", "jpg", "image/jpeg", {"quality": 82}),
    ("JPEG", "jpg", "image/jpeg", {"quality": 70, "progressive": True}),
    ("WEBP", "webp", "image/webp", {"quality": 75, "method": 0}),
    ("PNG", "png", "image/png", {"compress_level": 1}),
    ("JPEG", "jpg", "image/jpeg", {"quality": 90}),
    ("TIFF", "tif", "image/tiff", {}),
    ("GIF", "gif", "image/gif", {}),
    ("BMP", "bmp", "image/bmp", {}),
    ("AVIF", "avif", "image/avif", {"quality": 60, "speed": 10, "max_threads": 1}),
)


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph, encoded."""

    name: str
    """A key for it, unique among one call's photographs: `photographs/0042-coffee.jpg`."""
    content_type: str
    width: int
    height: int
    body: bytes

    @property
    def sha256(self) -> str:
        """The digest of the bytes, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


def data_folder() -> Path:
    """The data folder of the installed scikit-image. Raises ModuleNotFoundError if it is not installed."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the test photographs come with the package scikit-image: pip install '.[test]'")
    return Path(spec.origin).parent / "data"


def photographs(count: int = 500, *, seed: int = 1) -> tuple[Photograph, ...]:
    """`count` photographs, no two alike. 500 of them take about 2 s and 30 MB."""
    return tuple(islice(_endless(random.Random(seed)), count))


def _endless(rng: random.Random) -> Iterator[Photograph]:
    sources = [(Path(name).stem, _opened(data_folder() / name)) for name in SOURCES]
    seen: set[bytes] = set()
    number = 0
    while True:
        stem, source = sources[number % len(sources)]
        # The formats shift by one with each round, which gives every source every format.
        format_, suffix, content_type, options = _FORMATS[(number + number // len(sources)) % len(_FORMATS)]
        varied = _varied(source, rng)
        buffer = io.BytesIO()
        varied.save(buffer, format_, **options)
        body = buffer.getvalue()
        if body in seen:
            continue
        seen.add(body)
        yield Photograph(f"photographs/{number:04d}-{stem}.{suffix}", content_type, varied.width, varied.height, body)
        number += 1


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        opened = image.convert("L" if image.mode.startswith(("1", "I", "L")) else "RGB")
    opened.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return opened


def _varied(source: Image.Image, rng: random.Random) -> Image.Image:
    """A part of `source`, a third to the whole of each side, perhaps mirrored, scaled to 40 to 100 percent."""
    width, height = (max(16, int(side * rng.uniform(0.34, 1.0))) for side in source.size)
    left, top = rng.randint(0, source.width - width), rng.randint(0, source.height - height)
    part = source.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        part = ImageOps.mirror(part)
    scale = rng.uniform(0.4, 1.0)
    return part.resize((max(8, int(width * scale)), max(8, int(height * scale))))
