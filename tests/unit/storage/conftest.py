"""A write path on SQLite and a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from testing.storage_parts import Parts

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.storage.catalog import tables


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/test.db")
    own = (tables.images, tables.image_keys, tables.image_changes, tables.image_usage, tables.trash)
    upkeep = (tables.bad_objects, tables.scrub_progress, tables.upkeep_leases)
    metadata.create_all(engine, tables=[*own, *upkeep])
    yield engine
    engine.dispose()


@pytest.fixture
def parts(engine: Engine, tmp_path: Path) -> Parts:
    return Parts(engine, tmp_path)
