"""What a node can do at this moment (`/readyz`)."""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.errors import Unavailable
from elastic_images.http.readiness import REMOTE_PATIENCE_SECONDS, Check, Probe, Readiness, ask


class NodeReadiness:
    """Looks at the lease and asks storage."""

    def __init__(self, cache: CoherentCache, ask_storage: Callable[[], Readiness]) -> None:
        """`ask_storage` raises Unavailable if it does not answer."""
        self._cache = cache
        self._ask_storage = ask_storage
        self._storage = Probe("storage", self._check_storage, patience_seconds=REMOTE_PATIENCE_SECONDS)

    def look(self) -> Readiness:
        """Answers within two seconds. Without storage a node still serves what it has; it never writes."""
        lease = not self._cache.dark
        checks = {"lease": Check(lease, "Held." if lease else "This node has no lease."), **ask(storage=self._storage)}
        return Readiness(lease, lease, checks)

    def _check_storage(self) -> str:
        found = self._ask_storage()
        if not found.read:
            raise Unavailable(found.failing)
        return "Can be read."
