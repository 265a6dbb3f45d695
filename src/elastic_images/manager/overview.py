"""The state of the system now, gathered from the autoscaler, storage and the database, as far as they respond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.events import EventRecord
from elastic_images.core.image_facts import StorageHealth, WholeUsage
from elastic_images.core.pool_document import ConfigDocument, DecisionRecord, NodeDocument, PoolDocument, RateDocument
from elastic_images.http.readiness import Readiness
from elastic_images.storage.client import StorageClient


@dataclass(frozen=True, slots=True)
class Overview:
    """The system at a glance. A part is None if its app does not respond; its error says why."""

    pool: PoolDocument | None = None
    config: ConfigDocument | None = None
    rate: RateDocument | None = None
    decision: DecisionRecord | None = None
    """The last decision of automatic mode."""
    events: list[EventRecord] = field(default_factory=list)
    """The newest, newest first."""
    usage: WholeUsage | None = None
    storage: list[StorageHealth] = field(default_factory=list)
    """How each storage app fares that answers."""
    pool_error: str = ""
    rate_error: str = ""
    """Why the autoscaler, although it responds, has no rate: its metrics may be kept elsewhere."""
    storage_error: str = ""
    storage_trouble: str = ""
    """What storage cannot do, although it responds: its failing checks."""
    database_error: str | None = None

    @property
    def nodes(self) -> list[NodeDocument]:
        """The pool's nodes."""
        return self.pool["nodes"] if self.pool else []

    @property
    def live(self) -> int:
        """How many nodes are live."""
        return sum(node["state"] == "live" for node in self.nodes)

    @property
    def is_changing(self) -> bool:
        """A resize, a start or a stop is under way."""
        return bool(self.pool and (self.pool["busy"] or self.pool["phase"] != "settled"))

    def total(self, name: Literal["items", "bytes", "capacity_bytes"]) -> int | None:
        """A statistic summed over the nodes that report it; None if no node does."""
        values = [(node["stats"] or {}).get(name) for node in self.nodes]
        known = [value for value in values if value is not None]
        return sum(known) if known else None


def gather(
    pool: AutoscalerClient, images: StorageClient, check_database: Callable[[], None], *, events: int = 60
) -> Overview:
    """Ask all of them. An app that does not respond costs one timeout, not one for each question."""
    status = config = rate = decision = usage = None
    happened: list[EventRecord] = []
    storage: list[StorageHealth] = []
    pool_error, rate_error, storage_error, storage_trouble, database_error = "", "", "", "", None
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
        storage = images.health()
        unable = [found for one in storage if not (found := Readiness.from_json(one["readiness"])).read]
        storage_trouble = unable[0].failing if unable else ""
        if len(unable) < len(storage) or any(found.checks["database"].ok for found in unable):
            usage = images.usage()
        else:
            storage_error = storage_trouble
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
        storage,
        pool_error=pool_error,
        rate_error=rate_error,
        storage_error=storage_error,
        storage_trouble=storage_trouble,
        database_error=database_error,
    )
