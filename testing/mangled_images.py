"""Files that are almost images: cut, with flipped bits, and with their chunks in another order.

The same seed gives the same files.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

_SIZE = (48, 36)
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 80},
    "progressive JPEG": {"quality": 80, "progressive": True, "restart_marker_blocks": 2},
    "PNG": {},
    "GIF": {},
    "animated GIF": {"save_all": True, "loop": 0, "duration": 40},
    "WEBP": {"quality": 70},
    "lossless WEBP": {"lossless": True},
    "animated WEBP": {"save_all": True, "duration": 40},
    "AVIF": {"quality": 60, "speed": 10, "max_threads": 1},
    "animated AVIF": {"quality": 60, "speed": 10, "max_threads": 1, "save_all": True},
    "TIFF": {},
    "compressed TIFF": {"compression": "tiff_lzw"},
    "TIFF of pages": {"save_all": True, "compression": "tiff_adobe_deflate"},
    "BMP": {},
}
FORMATS = tuple(_OPTIONS)


def whole(kind: str) -> bytes:
    """A right image of this kind."""
    frames = [Image.effect_mandelbrot(_SIZE, (-2.0 - shift, -1.2, 1.0, 1.2), 60) for shift in (0.0, 0.2, 0.4)]
    picture = [Image.merge("RGB", (frame, frame.rotate(180), frame.rotate(90, expand=False))) for frame in frames]
    options = dict(_OPTIONS[kind])
    if options.get("save_all"):
        options["append_images"] = picture[1:]
    if not kind.startswith(("animated WEBP", "animated AVIF", "AVIF")):
        exif = Image.Exif()
        exif[0x0112] = 6
        options.setdefault("exif", exif.tobytes())
    encoded = io.BytesIO()
    name = next(one for one in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP") if one in kind)
    picture[0].save(encoded, name, **options)
    return encoded.getvalue()


def mangled_images(seed: int) -> Iterator[tuple[str, bytes]]:
    """Endless: what was done to an image, and the bytes."""
    chance = random.Random(seed)
    originals = {kind: whole(kind) for kind in FORMATS}
    for kind, body in originals.items():
        for tenth in range(1, 10):
            yield f"{kind}, cut at {tenth} tenths", body[: len(body) * tenth // 10]
    while True:
        kind = chance.choice(FORMATS)
        change = chance.choice(_CHANGES)
        yield f"{kind}, {change.__name__.strip('_')}", change(chance, originals[kind])


def _flip_bits(chance: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        # Most of what decides stands at the beginning.
        place = chance.randrange(min(len(changed), chance.choice((64, 512, len(changed)))))
        changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _large_numbers(chance: random.Random, body: bytes) -> bytes:
    number = struct.pack(chance.choice("<>") + "I", chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65536)))
    place = chance.randrange(min(len(body), chance.choice((64, 512, len(body)))))
    return body[:place] + number[: chance.choice((2, 4))] + body[place + 4 :]


def _shuffle_chunks(chance: random.Random, body: bytes) -> bytes:
    head, *chunks = _chunks(body)
    for _ in range(chance.choice((1, 2, 4))):
        place = chance.randrange(len(chunks)) if chunks else 0
        how = chance.randrange(4)
        if not chunks:
            break
        if how == 0:
            chance.shuffle(chunks)
        elif how == 1:
            chunks.insert(place, chunks[chance.randrange(len(chunks))])
        elif how == 2:
            del chunks[place]
        else:
            chunks[place] = chunks[place] * chance.choice((2, 50))
    return head + b"".join(chunks)


def _insert_another(chance: random.Random, body: bytes) -> bytes:
    other = whole(chance.choice(("PNG", "JPEG", "BMP", "GIF")))
    place = chance.randrange(len(body))
    return body[:place] + other + body[place:]


_CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip_bits,
    _flip_bits,
    _large_numbers,
    _shuffle_chunks,
    _shuffle_chunks,
    _insert_another,
)


def _chunks(body: bytes) -> list[bytes]:
    """What comes first, then the parts that the format is made of; equal pieces where it has none."""
    if body.startswith(b"\x89PNG"):
        return _split(body, 8, lambda at: 12 + int.from_bytes(body[at : at + 4], "big"))
    if body.startswith(b"RIFF"):
        return _split(body, 12, lambda at: 8 + (int.from_bytes(body[at + 4 : at + 8], "little") + 1) // 2 * 2)
    if body[4:8] == b"ftyp":
        return _split(body, 0, lambda at: int.from_bytes(body[at : at + 4], "big"))
    if body.startswith(b"\xff\xd8"):
        return _split(body, 2, lambda at: 2 + int.from_bytes(body[at + 2 : at + 4], "big"))
    return _split(body, 16, lambda _: max(16, len(body) // 12))


def _split(body: bytes, at: int, length_at: Callable[[int], int]) -> list[bytes]:
    parts = [body[:at]]
    while at < len(body):
        end = at + max(length_at(at), 1)
        parts.append(body[at:end])
        at = end
    return parts
