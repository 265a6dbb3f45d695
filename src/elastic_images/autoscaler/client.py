"""How other apps call the autoscaler. Imports no database: web and nodes may import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from elastic_images.core.events import EventRecord
from elastic_images.core.pool_document import (
    ClearedDocument,
    ConfigDocument,
    DecisionRecord,
    PoolDocument,
    RateDocument,
    ResizeRecord,
    SeriesDocument,
)
from elastic_images.http.internal_client import InternalClient, decoded
from elastic_images.http.readiness import Readiness


class AutoscalerClient:
    """The autoscaler's calls (docs/internal-api.md). Safe to share between threads.

    Every method raises Unavailable while the autoscaler does not respond, and InvalidRequest if it refuses an argument.
    """

    def __init__(self, http: InternalClient, url: str, *, timeout_seconds: float = 5.0) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds

    def readiness(self) -> Readiness:
        """What the autoscaler can do now. Answers within two seconds."""
        return self._http.readiness(self._url)

    def pool(self) -> PoolDocument:
        """Map, wanted size, mode, phase, nodes, the resize under way, and what resizes to other sizes would move."""
        return cast("PoolDocument", self._get("/internal/pool"))

    def config(self) -> ConfigDocument:
        """The pool's settings."""
        return cast("ConfigDocument", self._get("/internal/config"))

    def update_config(self, changes: Mapping[str, object]) -> ConfigDocument:
        """Change some of the settings, all or nothing, and return all of them. Returns before a resize has begun."""
        answer = self._http.request(
            "PATCH", f"{self._url}/internal/config", json=dict(changes), timeout_seconds=self._timeout_seconds
        )
        return cast("ConfigDocument", decoded(answer))

    def clear(self) -> ClearedDocument:
        """Empty every cache."""
        answer = self._http.post_json(f"{self._url}/internal/clear", {}, timeout_seconds=self._timeout_seconds)
        return cast("ClearedDocument", answer)

    def decisions(self, limit: int = 50, before: int | None = None) -> list[DecisionRecord]:
        """The decisions of automatic mode, newest first; `before` is the id of the last one already seen."""
        return cast("list[DecisionRecord]", self._page("decisions", limit, before))

    def resizes(self, limit: int = 50, before: int | None = None) -> list[ResizeRecord]:
        """Resizes, newest first."""
        return cast("list[ResizeRecord]", self._page("resizes", limit, before))

    def events(self, limit: int = 50, before: int | None = None) -> list[EventRecord]:
        """What happened to the pool and its nodes, newest first."""
        return cast("list[EventRecord]", self._page("events", limit, before))

    def metrics(self, name: str, minutes: int = 60, source: str | None = None) -> SeriesDocument:
        """A metric over the last minutes, in steps of one minute."""
        return cast("SeriesDocument", self._get("/internal/metrics", name=name, minutes=minutes, source=source))

    def rate(self, window_seconds: float = 60) -> RateDocument:
        """Requests, hits, misses and their rates over the last seconds."""
        return cast("RateDocument", self._get("/internal/rate", window_seconds=window_seconds))

    def publish(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Send a batch of samples, as JSON values."""
        self._http.post_json(
            f"{self._url}/internal/metrics", {"samples": list(samples)}, timeout_seconds=self._timeout_seconds
        )

    def _page(self, what: str, limit: int, before: int | None) -> list[Any]:
        return list(self._get(f"/internal/{what}", limit=limit, before=before)[what])

    def _get(self, path: str, **query: object) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        suffix = f"?{urlencode(given)}" if given else ""
        return dict(self._http.get_json(f"{self._url}{path}{suffix}", timeout_seconds=self._timeout_seconds))
