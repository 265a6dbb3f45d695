"""What the autoscaler can do at this moment (`/readyz`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from elastic_images.http.readiness import Check, Probe, Readiness, ask
from elastic_images.metrics.store import MetricStore
from elastic_images.pool.store import PoolStore

_METRICS_SECONDS = 60.0
"""How long the answer of the metrics store is kept: CloudWatch charges for each question."""


class AutoscalerReadiness:
    """Asks the database and the metrics store, and looks at the resizer's loop."""

    def __init__(self, store: PoolStore, metrics: MetricStore, resizer_works: Callable[[], bool]) -> None:
        self._store = store
        self._resizer_works = resizer_works
        self._has_map = False
        self._probes = {
            "database": Probe("database", self._database),
            "metrics": Probe("metrics", lambda: metrics.rate(60.0, time.time()), fresh_seconds=_METRICS_SECONDS),
        }

    def look(self) -> Readiness:
        """Answers within a second. It reads where the pool can be shown, and writes where it can be resized."""
        checks = ask(**self._probes)
        has_map, works = self._has_map and checks["database"].ok, self._resizer_works()
        words = "Known." if has_map else "The pool has no map yet: its first nodes are starting."
        checks["pool_map"] = Check(has_map, words)
        checks["resizer"] = Check(works, "Working." if works else "Its last step failed; the log has the reason.")
        return Readiness(has_map, has_map and works, checks)

    def _database(self) -> None:
        self._has_map = self._store.read().map is not None
