"""Where a node's fills come from: the partition's previous owner during a resize, otherwise storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.keys import quote_key
from elastic_images.http.entries import entry_from_answer
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.view import PoolView

_PEER_SECONDS = 0.5


class StorageReader(Protocol):
    """The part of the storage client that a fill needs."""

    def get_entry(self, key: str) -> Entry:
        """The image, read in a fresh transaction. Raises NotFound, Unavailable."""


class FillSource(Protocol):
    """Fetches an entry that a node lacks. Safe to share between threads."""

    def fetch(self, key: str, partition: int) -> tuple[Entry, bool]:
        """The entry, and whether it came from the previous owner. Raises NotFound, Unavailable."""


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

    def fetch(self, key: str, partition: int) -> tuple[Entry, bool]:
        """See `FillSource`."""
        entry = self._from_previous(key, partition)
        if entry is not None:
            return entry, True
        return self._storage.get_entry(key), False

    def _from_previous(self, key: str, partition: int) -> Entry | None:
        view = self._view()
        previous = view.map.partitions[partition].previous if view.map else None
        peer = view.live_node(previous) if previous is not None and previous != self._slot else None
        if peer is None:
            return None
        try:
            answer = self._http.request(
                "GET",
                f"http://{peer.data_address}/peer/{quote_key(key)}",
                headers={"X-Incarnation": peer.incarnation},
                timeout_seconds=self._peer_seconds,
            )
            return entry_from_answer(key, answer.headers, answer.data)
        except ElasticImagesError:
            # Storage has the image in any case.
            return None
