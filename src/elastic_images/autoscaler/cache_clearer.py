"""Clears every cache of the pool."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.pool_document import ClearedDocument
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.view import LIVE, Member, PoolView

_TIMEOUT_SECONDS = 2.0
_WORKERS = 8


class CacheClearer:
    """Tells every live member, nodes and near caches, to clear its cache. Safe to share between threads."""

    def __init__(self, http: InternalClient, pool: Callable[[], PoolView]) -> None:
        self._http = http
        self._pool = pool

    def clear(self) -> ClearedDocument:
        """Returns the ids of the members that are empty now, and of those that did not respond."""
        members = [member for member in self._pool().members if member.state == LIVE]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="clear") as workers:
            answers = list(workers.map(self._clear, members))
        outcome: ClearedDocument = {"cleared": [], "failed": []}
        for member, cleared in zip(members, answers, strict=True):
            outcome["cleared" if cleared else "failed"].append(member.id)
        return outcome

    def _clear(self, member: Member) -> bool:
        try:
            self._http.request(
                "POST",
                f"http://{member.address}/clear",
                json={"incarnation": member.incarnation},
                timeout_seconds=_TIMEOUT_SECONDS,
            )
        except ElasticImagesError:
            return False
        return True
