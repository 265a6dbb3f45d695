"""A write path on SQLite and a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from testing.storage_parts import CATALOG_TABLES, Parts

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/test.db")
    metadata.create_all(engine, tables=CATALOG_TABLES)
    yield engine
    engine.dispose()


@pytest.fixture
def parts(engine: Engine, tmp_path: Path) -> Parts:
    return Parts(engine, tmp_path)
