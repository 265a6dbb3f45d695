"""PNG (W3C, third edition): chunks and frames, and the check that all rows are there."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from elastic_images.imaging.formats import Buffer, damaged
from elastic_images.imaging.headers.facts import Header, Parts

_MARK = b"\x89PNG\r\n\x1a\n"
_STILL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT"})
_COLOUR = frozenset({b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"eXIf"})
_HARMLESS = frozenset({b"sRGB", b"pHYs", b"bKGD", b"sBIT", b"hIST"})
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_NUMBER = 0x7FFF_FFFF
_STEP_BYTES = 65_536
_FILTERS = 5
_MAX_PROFILE_BYTES = 1_000_000
_END = b"\0\0\0\0IEND\xaeB`\x82"


class Chunk(NamedTuple):
    """A chunk. `data[start:end]` is its payload; `cut` if the file ends before its checksum does."""

    kind: bytes
    start: int
    end: int
    cut: bool


def chunks(data: Buffer) -> Iterator[Chunk]:
    """All chunks up to IEND, or to where the file ends."""
    position, size, parts = len(_MARK), len(data), Parts("PNG")
    while position + 8 <= size:
        parts.next()
        kind, start = data[position + 4 : position + 8], position + 8
        end = start + int.from_bytes(data[position : position + 4], "big")
        yield Chunk(bytes(kind), start, min(end, size), end + 4 > size)
        position = end + 4
        if kind == b"IEND":
            return


def read(data: Buffer) -> Header:
    """The header of a PNG; see `read_header`."""
    if data[12:16] != b"IHDR":
        raise damaged("PNG", "its header is missing")
    declared, frames, whole, extras, end, pixels = 0, 0, False, False, 0, False
    coding: tuple[int, int] | None = None
    for chunk in chunks(data):
        if chunk.kind == b"acTL" and not pixels:
            declared = declared or _declared_frames(data, chunk)
        elif chunk.kind == b"fcTL":
            frames += 1
        elif chunk.kind == b"IEND":
            whole, end = not chunk.cut, chunk.end + 4
        elif chunk.kind == b"IDAT":
            pixels = True
        elif chunk.kind not in _PIXELS | _HARMLESS:
            extras = True
            if chunk.kind == b"cICP" and not pixels:
                coding = data[chunk.start], data[chunk.start + 1]
    if not pixels:
        raise damaged("PNG", "its end is missing")
    if not declared:
        frames = 1
    elif not whole:
        frames = declared  # so that missing ones are missed
    return Header(
        "PNG",
        int.from_bytes(data[16:20], "big"),
        int.from_bytes(data[20:24], "big"),
        max(frames, 1),
        samples=_SAMPLES[data[25]],
        bits=data[24],
        progressive=data[28] != 0,
        whole=whole,
        coding=coding,
        has_extras=extras or end < len(data),
    )


def check(data: Buffer, header: Header) -> None:
    """See that every row of every frame inflates, in constant memory. Raises BrokenImage otherwise.

    Checksums of ancillary chunks do not matter: browsers ignore such chunks.
    """
    width, height, frames, found, inflater = header.width, header.height, 0, 0, None
    for chunk in chunks(data):
        kind = chunk.kind
        critical = not kind[0] & 0x20 or kind in _PIXELS
        if critical and not (kind == b"IEND" and chunk.cut) and not _is_intact(data, chunk):
            raise damaged("PNG", f"its part {kind.decode('latin-1')!r} has a wrong checksum")
        if kind == b"fcTL":
            if inflater:
                inflater.finish()
                inflater = None
            found += 1
            width, height = (int.from_bytes(data[chunk.start + at : chunk.start + at + 4], "big") for at in (4, 8))
            if width > header.width or height > header.height:
                raise damaged("PNG", "a frame is larger than the image")
        elif kind in (b"IDAT", b"fdAT"):
            if inflater is None:
                inflater = _Rows(width, height, header)
                frames += 1
            inflater.add(data, chunk.start + 4 * (kind == b"fdAT"), chunk.end)
    if inflater:
        inflater.finish()
    if header.frames > 1 and min(found, frames) < header.frames:
        raise damaged("PNG", f"{min(found, frames)} of {header.frames} frames are there")


def for_decoder(data: Buffer) -> tuple[Buffer, tuple[int, int] | None]:
    """The first frame as Pillow takes it: without compressed texts and damaged ancillary chunks, and with an end.

    Pillow refuses files whose texts inflate to more than a megabyte, and warns of odd animations; browsers ignore both.
    Gives `data` itself where nothing needs to go, and where the frame begins if it may be smaller than the image.
    """
    control = _control_apart(data)
    if control is not None:
        x, y = (int.from_bytes(data[control.start + at : control.start + at + 4], "big") for at in (12, 16))
        return _frame_apart(data, control), (x, y)
    if all(_passes(data, one) for one in chunks(data)):
        return data, None
    return b"".join([_MARK, *(_chunk(data, one) for one in chunks(data) if _is_kept(data, one)), _END]), None


def _control_apart(data: Buffer) -> Chunk | None:
    """The fcTL of an animation's first frame, if the image that other viewers show is not that frame."""
    declared, pixels, control = 0, False, None
    for one in chunks(data):
        if one.kind == b"acTL":
            declared = declared or _declared_frames(data, one)
        elif one.kind == b"IDAT":
            pixels = True
            if not declared:
                return None
        elif one.kind == b"fcTL":
            control = one
            if not pixels:
                return None
        elif one.kind == b"fdAT":
            return control
    return None


def _frame_apart(data: Buffer, control: Chunk) -> bytes:
    """A file of the frame that `control` begins. Its pixels follow in chunks with a number in front."""
    head, pixels = [_MARK], []
    for one in chunks(data):
        if one.kind == b"fcTL" and one.start > control.start:
            break
        if one.kind == b"IHDR":
            head.append(_made(b"IHDR", data[control.start + 4 : control.start + 12] + data[one.start + 8 : one.end]))
        elif one.kind == b"fdAT":
            pixels.append(data[one.start + 4 : one.end])
        elif one.kind in (b"PLTE", b"tRNS") or (one.kind in _COLOUR and _passes(data, one)):
            head.append(_chunk(data, one))
    return b"".join([*head, _made(b"IDAT", b"".join(pixels)), _END])


def _declared_frames(data: Buffer, control: Chunk) -> int:
    """What an acTL says; 0 where decoders ignore it."""
    found = int.from_bytes(data[control.start : control.start + 4], "big")
    return found if found <= _MAX_NUMBER else 0


def _is_kept(data: Buffer, chunk: Chunk) -> bool:
    return chunk.kind in _STILL or (chunk.kind in _COLOUR and _passes(data, chunk))


def _chunk(data: Buffer, chunk: Chunk) -> bytes:
    return _made(chunk.kind, data[chunk.start : chunk.end])


def _made(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(kind)).to_bytes(4, "big")
    return b"".join([len(payload).to_bytes(4, "big"), kind, payload, checksum])


def _passes(data: Buffer, chunk: Chunk) -> bool:
    """Whether Pillow takes a chunk as it is."""
    if chunk.kind == b"acTL" or not _is_intact(data, chunk):
        return False
    if chunk.kind == b"iTXt":
        keyword = data.find(b"\0", chunk.start, chunk.end)
        return keyword > 0 and data[keyword + 1 : keyword + 2] == b"\0"  # it is not compressed
    return chunk.kind != b"zTXt" and (chunk.kind != b"iCCP" or _is_sane(data[chunk.start : chunk.end]))


def _is_intact(data: Buffer, chunk: Chunk) -> bool:
    checksum = int.from_bytes(data[chunk.end : chunk.end + 4], "big")
    with memoryview(data) as view, view[chunk.start - 4 : chunk.end] as covered:
        return not chunk.cut and zlib.crc32(covered) == checksum


def _is_sane(payload: bytes) -> bool:
    """Whether a profile inflates to a sensible size; Pillow refuses the whole file otherwise."""
    try:
        inflater = zlib.decompressobj()
        inflater.decompress(payload[payload.index(b"\0") + 2 :], _MAX_PROFILE_BYTES)
    except (ValueError, zlib.error):
        return False
    return not inflater.unconsumed_tail


class _Rows:
    """Inflates the rows of one frame and checks their filter bytes."""

    def __init__(self, width: int, height: int, header: Header) -> None:
        bits = int(header.samples) * header.bits
        passes = _ADAM7 if header.progressive else ((0, 0, 1, 1),)
        sizes = [
            (1 + (-(-max(width - x, 0) // across) * bits + 7) // 8, -(-max(height - y, 0) // down))
            for x, y, across, down in passes
        ]
        self._passes = iter([(row, rows) for row, rows in sizes if row > 1 and rows > 0])
        self._inflater = zlib.decompressobj()
        self._row = self._left = 0
        self._next_pass()

    def add(self, data: Buffer, start: int, end: int) -> None:
        """The next part of the stream."""
        while start < end and self._left and not self._inflater.eof:
            source = data[start : min(start + _STEP_BYTES, end)]
            start += len(source)
            while source and self._left:
                try:
                    self._take(self._inflater.decompress(source, _STEP_BYTES * 4))
                except zlib.error as error:
                    raise damaged("PNG", "its pixels do not inflate") from error
                source = self._inflater.unconsumed_tail

    def finish(self) -> None:
        """Nothing follows. Raises BrokenImage if rows are missing."""
        if self._left:
            self._take(self._inflater.flush())
        if self._left:
            raise damaged("PNG", "rows are missing")

    def _take(self, inflated: bytes) -> None:
        position = 0
        while self._left and position < len(inflated):
            take = min(self._left, len(inflated) - position)
            # What is left of the current row comes first; then each row begins with its filter.
            filters = inflated[position + self._left % self._row : position + take : self._row]
            if filters and max(filters) >= _FILTERS:
                raise damaged("PNG", "a row has an unknown filter")
            position += take
            self._left -= take
            if not self._left:
                self._next_pass()

    def _next_pass(self) -> None:
        self._row, rows = next(self._passes, (0, 0))
        self._left = self._row * rows
