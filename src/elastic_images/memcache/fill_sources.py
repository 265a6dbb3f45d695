"""Where a node's fills come from: the partition's previous owner during a resize, otherwise storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, Unavailable
from elastic_images.core.fills import Fill
from elastic_images.core.keys import quote_key
from elastic_images.http.entries import entry_from_answer
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.view import PoolView

_PEER_SECONDS = 0.5


class StorageReader(Protocol):
    """The part of the storage client that a fill needs."""

    def get_entry(self, name: str) -> Entry:
        """The image or rendition, read in a fresh transaction. Raises NotFound, Unavailable."""


class FillSource(Protocol):
    """Fetches an entry that a node lacks. Safe to share between threads."""

    def fetch(self, name: str, partition: int) -> tuple[Entry, bool]:
        """The entry, and whether it came from the previous owner. Raises NotFound, Unavailable."""

    def from_previous(self, name: str, partition: int) -> Entry | None:
        """The entry, if the partition has a previous owner that has it in memory."""


def lead(cache: CoherentCache, fill: Fill, fetch: Callable[[], Entry]) -> Entry:
    """Fetch what a fill is for, and end the fill, whatever happens. Raises what `fetch` raises."""
    try:
        entry = fetch()
    except BaseException as error:
        # Even a KeyboardInterrupt must not leave the waiters waiting.
        cache.fail_fill(fill, error if isinstance(error, Exception) else Unavailable("The fill was given up."))
        raise
    cache.complete_fill(fill, entry)
    return entry


class PeerThenStorage:
    """Asks the previous owner, if there is one, and then storage. Safe to share between threads."""

    def __init__(
        self,
        slot: int,
        view: Callable[[], PoolView],
        http: InternalClient,
        storage: StorageReader,
        *,
        peer_seconds: float = _PEER_SECONDS,
    ) -> None:
        self._slot = slot
        self._view = view
        self._http = http
        self._storage = storage
        self._peer_seconds = peer_seconds

    def fetch(self, name: str, partition: int) -> tuple[Entry, bool]:
        """See `FillSource`."""
        entry = self.from_previous(name, partition)
        if entry is not None:
            return entry, True
        return self._storage.get_entry(name), False

    def from_previous(self, name: str, partition: int) -> Entry | None:
        """See `FillSource`."""
        view = self._view()
        previous = view.map.partitions[partition].previous if view.map else None
        peer = view.live_node(previous) if previous is not None and previous != self._slot else None
        if peer is None:
            return None
        try:
            answer = self._http.request(
                "GET",
                f"http://{peer.data_address}/peer/{quote_key(name)}",
                headers={"X-Incarnation": peer.incarnation},
                timeout_seconds=self._peer_seconds,
            )
            return entry_from_answer(name, answer.headers, answer.data)
        except ElasticImagesError:
            # Storage has the image in any case.
            return None
