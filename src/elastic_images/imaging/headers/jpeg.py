"""JPEG (ITU-T T.81, annex B): segments and scans.

A progressive JPEG may refine the whole picture with every scan, and a scan without news takes a few bytes: 1,500 of
them cost 10 s for 200 KB. Encoders write up to 20 scans; one for every coefficient of three components would be 190.
libjpeg-turbo's report on this ("Two Issues with the JPEG Standard", LJT-01-003) leaves the bound to applications;
its own fuzzers and DALI stop at 500.
"""

from __future__ import annotations

import re

from elastic_images.core.errors import BrokenImage
from elastic_images.imaging.formats import Buffer, damaged, not_supported
from elastic_images.imaging.headers.facts import Header, Parts

MAX_SCANS = 200

# A marker with a meaning: FF 00 is a data byte, FF D0 to FF D7 are restarts, FF FF is padding, FF 01 means nothing.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_START, _END, _SCAN, _JFIF, _ADOBE, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_DECODED = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_PLAIN_JFIF, _PLAIN_ADOBE = 16, 14
_PRECISION, _COEFFICIENTS = 8, 64


def read(data: Buffer) -> Header:
    """The header of a JPEG; see `read_header`."""
    position, parts, scans, extras, whole = 2, Parts("JPEG"), 0, False, False
    frame: tuple[int, int, int, float, int] | None = None
    progressive = False
    seen = _Coverage()
    while found := _MARKER.search(data, position):
        parts.next()
        position, marker = found.end(), data[found.start() + 1]
        if marker == _END:
            whole = True
            break
        if marker == _START:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if marker == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise BrokenImage(f"This JPEG image has more than {MAX_SCANS} scans: save it again as a new file.")
            seen.add(data[position : position + length])
        elif marker in _FRAMES and frame is None:
            if marker not in _DECODED:
                raise not_supported("a lossless or hierarchical JPEG")
            frame, progressive = _frame(data[position : position + length]), marker in _PROGRESSIVE
        elif _JFIF <= marker <= _COMMENT:
            plain = {_JFIF: _PLAIN_JFIF, _ADOBE: _PLAIN_ADOBE}.get(marker, 0)
            extras = extras or length > plain
        position += max(length, 2)
    if frame is None or not scans or (not whole and progressive and not seen.complete(frame[4])):
        raise damaged("JPEG", "its end is missing")
    height, width, bits, samples, _ = frame
    return Header(
        "JPEG",
        width,
        height,
        samples=samples,
        bits=bits,
        progressive=progressive,
        scans=scans,
        whole=whole,
        has_extras=extras or position < len(data),
        lossless=False,
    )


def _frame(segment: bytes) -> tuple[int, int, int, float, int]:
    """Height, width, bits, samples for each pixel and the number of components."""
    bits, components = segment[2], segment[7]
    if bits != _PRECISION:
        raise not_supported(f"a JPEG with {bits} bits a sample")
    factors = [segment[9 + 3 * index] for index in range(components)]
    areas = [(factor >> 4) * (factor & 15) for factor in factors]
    largest = max(factor >> 4 for factor in factors) * max(factor & 15 for factor in factors)
    samples = sum(areas) / max(largest, 1)
    return int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[5:7], "big"), bits, samples, components


class _Coverage:
    """Which coefficients of which components all scans together give to their last bit."""

    def __init__(self) -> None:
        self._bits_left: dict[int, list[int]] = {}

    def add(self, scan: bytes) -> None:
        """One scan's header."""
        count = scan[2]
        first, last, approximation = scan[3 + 2 * count : 6 + 2 * count]
        for index in range(count):
            left = self._bits_left.setdefault(scan[3 + 2 * index], [16] * _COEFFICIENTS)
            for place in range(first, min(last, _COEFFICIENTS - 1) + 1):
                left[place] = approximation & 15

    def complete(self, components: int) -> bool:
        """Whether nothing is left, for so many components."""
        return len(self._bits_left) == components and not any(any(left) for left in self._bits_left.values())
