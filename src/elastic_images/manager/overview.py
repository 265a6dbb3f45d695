"""What the first page shows, gathered from the autoscaler and storage, whichever of them answers."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.errors import ElasticImagesError
from elastic_images.manager.ports import ImageStore, PoolControl, Record


@dataclass(frozen=True, slots=True)
class Overview:
    """The system at a glance. A part is None where the app behind it does not answer; `problems` say so."""

    pool: Record | None
    config: Record | None
    rate: Record | None
    usage: Record | None
    problems: tuple[str, ...]

    @property
    def nodes(self) -> list[Record]:
        """The pool's nodes."""
        return list((self.pool or {}).get("nodes") or [])

    @property
    def live(self) -> int:
        """How many of them are live."""
        return sum(node.get("state") == "live" for node in self.nodes)

    def total(self, figure: str) -> int | None:
        """A figure summed over the nodes that tell it; None where none does."""
        values = [(node.get("stats") or {}).get(figure) for node in self.nodes]
        known = [value for value in values if value is not None]
        return sum(known) if known else None


def gather(pool: PoolControl, images: ImageStore) -> Overview:
    """Ask both. An app that does not answer costs one time-out, not one for each question."""
    problems: list[str] = []
    status = config = rate = usage = None
    try:
        status, config, rate = pool.pool(), pool.config(), pool.rate()
    except ElasticImagesError as error:
        problems.append(f"The autoscaler cannot be asked: {error} Reads go on; the pool keeps its size.")
    try:
        usage = images.usage()
    except ElasticImagesError as error:
        problems.append(f"Storage cannot be asked: {error}")
    return Overview(status, config, rate, usage, tuple(problems))
