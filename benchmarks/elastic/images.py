"""The images: noise of 20 to 200 KB, made quickly, no two alike."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from elastic_images.core.entry import OVERHEAD_BYTES
from elastic_images.core.partitions import partition_of
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import rendition_name
from elastic_images.imaging.rendering import render

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WIDTH = 256


@dataclass(frozen=True, slots=True)
class Catalog:
    """The images by number, the most popular first. Popularity has nothing to do with size or partition."""

    keys: tuple[str, ...]
    sizes_bytes: tuple[int, ...]
    """What a cache counts for each: key, bytes and overhead."""
    partitions: tuple[int, ...]
    heights: tuple[int, ...]
    query: str = ""
    """What is asked for of each image: itself, or a rendition."""

    @property
    def total_bytes(self) -> int:
        """What a cache counts for all of them."""
        return sum(self.sizes_bytes)

    def body(self, number: int) -> bytes:
        """The image; the same at each call."""
        return noise_png(self.heights[number], Random(f"image {number}"))


def renditions_of(catalog: Catalog) -> Catalog:
    """The same images, of which renditions are asked for, a quarter as large."""
    spec = RenditionSpec(_WIDTH // 2)
    made = (len(render(catalog.body(number), spec).data) for number in range(len(catalog.keys)))
    sizes = (
        len(rendition_name(key, spec)) + size + OVERHEAD_BYTES for key, size in zip(catalog.keys, made, strict=True)
    )
    return replace(catalog, sizes_bytes=tuple(sizes), query=f"?w={spec.width}")


def make_catalog(count: int, seed: int, *, least_bytes: int = 20_000, most_bytes: int = 200_000) -> Catalog:
    """`count` images whose sizes are spread evenly over the logarithm: as many of 20 to 63 KB as of 63 to 200 KB."""
    chance = Random(f"{seed} sizes")
    ratio = most_bytes / least_bytes
    heights = tuple(round(least_bytes * ratio ** chance.random() / _WIDTH) for _ in range(count))
    keys = tuple(f"elastic/{number:05d}" for number in range(count))
    sizes = tuple(len(key) + png_size(height) + OVERHEAD_BYTES for key, height in zip(keys, heights, strict=True))
    return Catalog(keys, sizes, tuple(map(partition_of, keys)), heights)


def noise_png(height: int, random: Random) -> bytes:
    """A grey PNG of noise, 256 pixels wide, stored without compression: a pixel is a byte."""
    rows = b"".join(b"\0" + random.randbytes(_WIDTH) for _ in range(height))
    return _png(height, zlib.compress(rows, 0))


def png_size(height: int) -> int:
    """How many bytes `noise_png` gives."""
    return len(_png(height, zlib.compress(bytes((_WIDTH + 1) * height), 0)))


def _png(height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", _WIDTH, height, 8, 0, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def cumulative_zipf(count: int, exponent: float = 1.0) -> Sequence[float]:
    """Cumulative weights of ranks 1 to `count`: rank r in proportion to r ** -exponent."""
    total, found = 0.0, []
    for rank in range(1, count + 1):
        total += rank**-exponent
        found.append(total)
    return found
