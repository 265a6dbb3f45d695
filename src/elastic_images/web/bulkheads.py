"""How many of a web process's threads may be held up: so that slow uploads and a slow storage never take them all."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.http.bulkhead import Bulkhead

MAX_BODIES = 32
MAX_WAITING = 64
MAX_DRAINS = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many of a web process's threads may be held up by others at the same time.

    Their sum stays well below the number of threads: the rest answers hits and `/healthz`.
    """

    bodies: Bulkhead
    """Requests that are sending a body: uploads, above all."""
    waiting: Bulkhead
    """Requests without a body that wait for storage or for the autoscaler."""
    drains: Bulkhead
    """Refused uploads whose rest is read and thrown away."""


def default_bounds(bodies: int = MAX_BODIES, waiting: int = MAX_WAITING, drains: int = MAX_DRAINS) -> Bounds:
    """The bounds of one process."""
    return Bounds(
        bodies=Bulkhead(bodies, "uploads"),
        waiting=Bulkhead(waiting, "requests"),
        drains=Bulkhead(drains, "refused uploads"),
    )
