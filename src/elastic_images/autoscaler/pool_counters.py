"""What `/metrics` shows of the autoscaler."""

from __future__ import annotations

from elastic_images.autoscaler.plan import MapChange
from elastic_images.autoscaler.resizer import Resizer, ResizerStatus
from elastic_images.core.scaling import Decision
from elastic_images.metrics.counters import Counters


class PoolCounters:
    """Counts resizes and decisions. Safe to share between threads."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._decisions = counters.counter("decisions")
        self._resizes = counters.counter("resizes")
        self._aborted = counters.counter("aborted_resizes")

    def follow(self, resizer: Resizer) -> None:
        """Show how the pool stands."""
        self._counters.follow(lambda: _levels(resizer.status))

    def changed(self, change: MapChange) -> None:
        """The map was changed."""
        if change.kind == "settle":
            self._resizes.increment()
        elif change.kind == "abort":
            self._aborted.increment()

    def decided(self, _decision: Decision) -> None:
        """A decision was taken."""
        self._decisions.increment()


def _levels(status: ResizerStatus) -> dict[str, int]:
    return {"epoch": status.epoch, "nodes": len(status.ready), "wanted_nodes": status.wanted}
