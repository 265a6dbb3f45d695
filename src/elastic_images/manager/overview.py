"""What there is to know of the system now, gathered from the autoscaler, storage and the database, whichever answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.image_facts import Usage
from elastic_images.manager.services import ImageStore, PoolControl, Record


@dataclass(frozen=True, slots=True)
class Overview:
    """The system at a glance. A part is None where the app behind it does not answer; its error says so."""

    pool: Record | None = None
    config: Record | None = None
    rate: Record | None = None
    decision: Record | None = None
    """The last decision of automatic mode."""
    events: list[Record] = field(default_factory=list)
    """The newest, newest first."""
    usage: Usage | None = None
    pool_error: str = ""
    rate_error: str = ""
    """Why the autoscaler, which answers, knows no rate: its figures may be kept elsewhere."""
    storage_error: str = ""
    database_error: str | None = None

    @property
    def nodes(self) -> list[Record]:
        """The pool's nodes."""
        return list((self.pool or {}).get("nodes") or [])

    @property
    def live(self) -> int:
        """How many of them are live."""
        return sum(node.get("state") == "live" for node in self.nodes)

    @property
    def is_changing(self) -> bool:
        """A resize, a start or a stop is under way."""
        return bool(self.pool and (self.pool.get("busy") or self.pool.get("phase") != "settled"))

    def total(self, figure: str) -> int | None:
        """A figure summed over the nodes that tell it; None where none does."""
        values = [(node.get("stats") or {}).get(figure) for node in self.nodes]
        known = [value for value in values if value is not None]
        return sum(known) if known else None


def gather(pool: PoolControl, images: ImageStore, check_database: Callable[[], None], *, events: int = 60) -> Overview:
    """Ask all of them. An app that does not answer costs one time-out, not one for each question."""
    status = config = rate = decision = usage = None
    happened: list[Record] = []
    pool_error, rate_error, storage_error, database_error = "", "", "", None
    try:
        status, config = pool.pool(), pool.config()
        happened = pool.events(events)
        decision = next(iter(pool.decisions(1)), None)
    except ElasticImagesError as error:
        status = config = None
        pool_error = str(error)
    else:
        try:
            rate = pool.rate()
        except ElasticImagesError as error:
            rate_error = str(error)
    try:
        usage = images.usage()
    except ElasticImagesError as error:
        storage_error = str(error)
    try:
        check_database()
    except ElasticImagesError as error:
        database_error = str(error)
    return Overview(
        status,
        config,
        rate,
        decision,
        happened,
        usage,
        pool_error=pool_error,
        rate_error=rate_error,
        storage_error=storage_error,
        database_error=database_error,
    )
