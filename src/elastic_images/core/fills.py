"""Fills: one fetch of an entry, shared by every request that wants it (single flight).

`CoherentCache` registers a fill before its source is read and decides whether the result is kept; see there for the
fill rule.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, Unavailable


class FillAbandoned(ElasticImagesError):
    """A fill ended without bytes. Requests that joined it should start over on their own."""


class Fill:
    """One fetch of an entry that any number of requests wait for.

    The one that registered it must end it, whatever happens, by one of `CoherentCache.complete_fill`, `release_fill`,
    `fail_fill` and `abandon_fill`. Ending it again has no effect.
    """

    __slots__ = ("_done", "_entry", "_error", "from_previous", "key", "made", "partition", "spoiled", "unasked")

    def __init__(self, key: str, partition: int) -> None:
        self.key = key
        self.partition = partition
        self.spoiled = False
        """The key was invalidated meanwhile: the bytes answer the requests that have joined, but are not kept."""
        self.unasked = False
        """It is for making a rendition, and nobody asked for the image itself."""
        self.from_previous = False
        """The bytes came from the partition's previous owner, which counts as a hit."""
        self.made = False
        """It is a rendition that was made of an original in some cache's memory."""
        self._done = threading.Event()
        self._entry: Entry | None = None
        self._error: Exception | None = None

    def wait(self, seconds: float) -> Entry:
        """Wait for the entry.

        Raises:
            Exception: the fill's own error, the same for all waiters.
            Unavailable: it took longer than `seconds`.
        """
        if not self._done.wait(seconds):
            raise Unavailable("Fetching the image took too long.")
        if self._error is not None:
            raise self._error
        assert self._entry is not None  # noqa: S101 - a fill ends with an entry or an error
        return self._entry

    def resolve(self, entry: Entry) -> None:
        """Release the waiters with an entry. Only for `CoherentCache`."""
        if not self._done.is_set():
            self._entry = entry
            self._done.set()

    def reject(self, error: Exception) -> None:
        """Release the waiters with an error. Only for `CoherentCache`."""
        if not self._done.is_set():
            self._error = error
            self._done.set()


@dataclass(frozen=True, slots=True)
class FillTicket:
    """A request's part in a fill: the leader fetches and must end the fill, everyone else waits for it."""

    fill: Fill
    leader: bool
