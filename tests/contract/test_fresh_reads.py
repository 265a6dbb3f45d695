"""Storage reads what was committed before it was asked: an old snapshot would fill caches with old bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import pytest
from sqlalchemy import Connection, Engine
from testing.storage_parts import ANN, upload_of, write_id

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.tables import image_changes, image_keys, image_usage, images, trash

KEY = "k1"
LONG_AHEAD = 1e12
"""On the monotonic clock: no object is too old here."""


class StaleRead(Exception):
    """A read shows an older version than was committed before it began."""


@pytest.fixture
def engines(database_url: str) -> Iterator[tuple[Engine, Engine]]:
    """Those of two processes."""
    first, second = open_engine(database_url), open_engine(database_url)
    metadata.create_all(first, tables=[images, image_keys, image_changes, image_usage, trash])
    yield first, second
    first.dispose()
    second.dispose()


def must_see_each_write(reader: Catalog, writer: Catalog) -> None:
    for number in range(1, 4):
        writer.put(upload_of(KEY, number, begun_at=LONG_AHEAD), ANN)
        found = reader.find(KEY)
        if found is None or found.facts.version != number:
            raise StaleRead(f"{found.facts.version if found else None} though {number} is committed")
    writer.delete(KEY, write_id(), ANN)
    if reader.find(KEY) is not None:
        raise StaleRead("it is deleted")


class KeepsItsTransaction:
    """An engine whose reads are of one transaction for ever, as those of a session that is never ended are."""

    def __init__(self, kept: Connection) -> None:
        self.dialect = kept.dialect
        self._kept = kept
        kept.begin()

    def connect(self) -> nullcontext[Connection]:
        return nullcontext(self._kept)


def test_a_read_sees_what_another_process_committed_before_it(engines: tuple[Engine, Engine]) -> None:
    must_see_each_write(Catalog(engines[0]), Catalog(engines[1]))


def test_an_old_snapshot_is_caught(engines: tuple[Engine, Engine]) -> None:
    with ExitStack() as stack:
        level = "SERIALIZABLE" if engines[0].dialect.name == "sqlite" else "REPEATABLE READ"
        kept = stack.enter_context(engines[0].connect().execution_options(isolation_level=level))
        reader = Catalog(engines[0])
        reader._one._engine = KeepsItsTransaction(kept)  # type: ignore[assignment]
        with pytest.raises(StaleRead):
            must_see_each_write(reader, Catalog(engines[1]))
