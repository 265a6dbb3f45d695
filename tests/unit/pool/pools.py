"""A pool on a fresh SQLite database, and members to put in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.pool import tables
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import Member, node_id


@contextmanager
def pool_store(folder: Path) -> Iterator[PoolStore]:
    """An empty pool in `folder`."""
    engine = open_engine(f"sqlite:///{folder / 'pool.db'}")
    metadata.create_all(engine, tables=[tables.pool_state, tables.pool_members])
    try:
        yield PoolStore(engine)
    finally:
        engine.dispose()


def node(slot: int, life: str = "a") -> Member:
    """A node's incarnation; `life` tells apart those of one slot."""
    return Member(f"{slot}{life}".ljust(32, "0"), node_id(slot), "node", f"control-{slot}:1", f"data-{slot}:1")


def web(number: int) -> Member:
    """A web process with a near cache."""
    return Member(f"{number}".rjust(32, "f"), f"web-{number}", "web", f"control-web-{number}:1", "")
