"""Answers that wait for slow readers: one copy of equal ones, and a budget for all of them together."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Protocol

from elastic_images.front.event_loop import EventLoop
from elastic_images.front.sending import Part

_IDENTITY = re.compile(rb"\n((?:ETag|Content-Range): [^\r]+)").findall
_HEAD_START_BYTES = 65_536
"""What a reader is taken to have read before, so that it is not judged by its first moment."""


class SlowReader(Hashable, Protocol):
    """A connection that has not taken all of its answer."""

    @property
    def unsent_bytes(self) -> int:
        """How much it has still to take."""

    def abort(self) -> None:
        """Close it."""


class _Held:
    def __init__(self, body: Part, size_bytes: int, free: Callable[[], None] | None) -> None:
        self.body = body
        self.size_bytes = size_bytes
        self.free = free
        self.readers: dict[SlowReader, tuple[float, int]] = {}
        """Since when each reads, and how much it had to take then."""


class HeldAnswers:
    """For the front's own thread."""

    def __init__(self, loop: EventLoop, budget_bytes: int | None) -> None:
        """Without a budget nobody is cut off."""
        self._loop = loop
        self._budget_bytes = budget_bytes
        self._held: dict[Hashable, _Held] = {}
        self._by_reader: dict[SlowReader, Hashable] = {}
        self.total_bytes = 0
        self.cut_off = 0
        """How many readers lost their answer to the budget."""

    def find(self, etag: str | None, size_bytes: int) -> Part | None:
        """A whole image with this ETag that waits for a reader. It stays valid until the loop's next event."""
        held = self._held.get((f"ETag: {etag}".encode("latin-1"),))
        return held.body if held is not None and len(held.body) == size_bytes else None

    def hold(self, reader: SlowReader, head: bytes, body: Part, free: Callable[[], None] | None) -> Part:
        """Keep the body of an answer until `let_go`; returns the bytes to send: these or equal ones.

        `free` is called when the given ones are no longer needed.
        """
        # A strong ETag is the SHA-256 of the bytes.
        key = tuple(_IDENTITY(head)) or reader
        held = self._held.get(key)
        if held is None or len(held.body) != len(body):
            key = key if held is None else reader
            self._held[key] = held = _Held(body, len(body), free)
            self.total_bytes += held.size_bytes
        elif free is not None:
            free()
        self._add(reader, key, held)
        return held.body

    def count(self, reader: SlowReader, size_bytes: int) -> None:
        """The backend holds this much for the reader."""
        self.let_go(reader)
        self._held[reader] = held = _Held(b"", size_bytes, None)
        self.total_bytes += size_bytes
        self._add(reader, reader, held)

    def let_go(self, reader: SlowReader) -> None:
        """The reader has its answer, or is gone."""
        key = self._by_reader.pop(reader, None)
        if key is None:
            return
        held = self._held[key]
        del held.readers[reader]
        if not held.readers:
            del self._held[key]
            self.total_bytes -= held.size_bytes
            if held.free is not None:
                held.free()

    def _add(self, reader: SlowReader, key: Hashable, held: _Held) -> None:
        held.readers[reader] = (self._loop.clock, reader.unsent_bytes)
        self._by_reader[reader] = key
        while self._budget_bytes is not None and self.total_bytes > self._budget_bytes and len(self._held) > 1:
            slowest = max(self._held.values(), key=self._seconds_to_stay)
            for slow in list(slowest.readers):
                self.cut_off += 1
                slow.abort()

    def _seconds_to_stay(self, held: _Held) -> float:
        """How long the bytes will be needed, as its readers read now."""
        return held.size_bytes / sum(self._pace(reader, *began) for reader, began in held.readers.items())

    def _pace(self, reader: SlowReader, since: float, unsent_bytes: int) -> float:
        taken = max(0, unsent_bytes - reader.unsent_bytes)
        return (taken + _HEAD_START_BYTES) / (self._loop.clock - since + 1.0)
