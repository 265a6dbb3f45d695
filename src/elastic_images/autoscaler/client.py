"""How other apps call the autoscaler. Imports no database: web and nodes may import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from elastic_images.http.internal_client import InternalClient, decoded

Record = dict[str, Any]


class AutoscalerClient:
    """The autoscaler's calls (docs/architecture.md), answers as plain JSON values. Safe to share between threads.

    Every method raises Unavailable while the autoscaler does not answer, InvalidRequest where it refuses an argument.
    """

    def __init__(self, http: InternalClient, url: str, *, timeout_seconds: float = 5.0) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds

    def pool(self) -> Record:
        """Map, wanted size, mode, phase, nodes, the resize under way, and what resizes to other sizes would move."""
        return self._get_record("/internal/pool")

    def config(self) -> Record:
        """The pool's settings, by the names of `core.pool_config.ScalingConfig`."""
        return self._get_record("/internal/config")

    def update_config(self, changes: Mapping[str, object]) -> Record:
        """Change some of the settings, all or nothing; gives the whole. Answers before a resize has begun."""
        answer = self._http.request(
            "PATCH", f"{self._url}/internal/config", json=dict(changes), timeout_seconds=self._timeout_seconds
        )
        return dict(decoded(answer))

    def clear(self) -> Record:
        """Empty every cache: `{"cleared": [member ids], "failed": [member ids]}`."""
        return dict(self._http.post_json(f"{self._url}/internal/clear", {}, timeout_seconds=self._timeout_seconds))

    def decisions(self, limit: int = 50, before: int | None = None) -> list[Record]:
        """The scaling loop's decisions, newest first; `before` is the id of the last one already seen."""
        return self._get_records("decisions", limit, before)

    def resizes(self, limit: int = 50, before: int | None = None) -> list[Record]:
        """Resizes, newest first."""
        return self._get_records("resizes", limit, before)

    def events(self, limit: int = 50, before: int | None = None) -> list[Record]:
        """What happened to the pool and its nodes, newest first."""
        return self._get_records("events", limit, before)

    def metrics(self, name: str, minutes: int = 60, source: str | None = None) -> Record:
        """A figure's 1-minute series over the last minutes."""
        return self._get_record("/internal/metrics", name=name, minutes=minutes, source=source)

    def rate(self, window_seconds: float = 60) -> Record:
        """`requests`, `hits`, `misses`, `miss_rate` and `hit_rate` (both None without requests) of the last seconds."""
        return self._get_record("/internal/rate", window_seconds=window_seconds)

    def publish(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Hand over a batch of samples, as JSON values."""
        self._http.post_json(
            f"{self._url}/internal/metrics", {"samples": list(samples)}, timeout_seconds=self._timeout_seconds
        )

    def _get_records(self, what: str, limit: int, before: int | None) -> list[Record]:
        return list(self._get_record(f"/internal/{what}", limit=limit, before=before)[what])

    def _get_record(self, path: str, **query: object) -> Record:
        given = {name: value for name, value in query.items() if value is not None}
        suffix = f"?{urlencode(given)}" if given else ""
        return dict(self._http.get_json(f"{self._url}{path}{suffix}", timeout_seconds=self._timeout_seconds))
