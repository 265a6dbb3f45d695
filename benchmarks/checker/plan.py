"""What the load does, as its processes get it, and how they ask a system of several web processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks.checker.connection import Connection, Reply
from benchmarks.checker.ledger import Ledger, Totals
from benchmarks.checker.people import People


@dataclass(frozen=True)
class Plan:
    """What the load does. Passed to its processes."""

    places: tuple[tuple[str, int], ...]
    """Addresses of the web processes, or of what is in front of them."""
    people: People
    ledger: Ledger
    totals: Totals
    stop: Event
    complaints: Any
    """A queue of findings, as dictionaries."""
    seed: int
    writes_per_second: float
    read_seconds: float = 10.0
    """How long an attempt to read may take before the next place is tried."""
    reads_per_second: float | None = None
    """Per reading thread, at most; None: as many as it can."""


class Wandering:
    """A keep-alive connection to one place at a time; after a failure, or when it is closed, to the next one."""

    def __init__(self, places: Sequence[tuple[str, int]], timeout_seconds: float, first: int) -> None:
        self._connections = [Connection(host, port, timeout_seconds) for host, port in places]
        self._at = first % len(places)
        self._used = False

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply | None:
        """See `Connection`."""
        self._used = True
        reply = self._connections[self._at].request(method, path, body, headers)
        if reply is None:
            self.close()
        return reply

    def close(self) -> None:
        """Close it and move on to the next place, unless it has not been used since the last close."""
        if self._used:
            self._connections[self._at].close()
            self._at = (self._at + 1) % len(self._connections)
            self._used = False


def key_of(number: int, name: int) -> str:
    """A key, by its number and that of the name that it has."""
    return f"check/{number}-{name}" if name else f"check/{number}"
