"""The databases and object servers that the contract suites run against."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Engine
from testing.clock import Clock
from testing.cloudwatch_servers import CloudWatchServer, cloudwatch
from testing.database_servers import DatabaseServer, mariadb, mariadb_installed, postgresql, postgresql_binaries
from testing.ec2_stand_ins import FakeEc2, fake_ec2, simple_boot
from testing.object_servers import S3Server, moto, seaweedfs
from testing.storage_parts import CATALOG_TABLES

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate


@pytest.fixture(scope="session", params=["sqlite", "mariadb", "postgresql"])
def database_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer | None]:
    """A running server of each kind, one after the other; None for SQLite."""
    if request.param == "mariadb" and not mariadb_installed():
        pytest.skip("needs the package mariadb-server")
    if request.param == "postgresql" and postgresql_binaries() is None:
        pytest.skip("needs the package postgresql")
    kinds: dict[str, Callable[[], AbstractContextManager[DatabaseServer | None]]] = {
        "sqlite": nullcontext,
        "mariadb": mariadb,
        "postgresql": postgresql,
    }
    with kinds[request.param]() as server:
        yield server


@pytest.fixture
def database_url(database_server: DatabaseServer | None, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, a fresh one for each test."""
    if database_server is None:
        yield f"sqlite:///{tmp_path}/test.db"
        return
    with database_server.fresh_url() as url:
        yield url


@pytest.fixture
def catalog_engine(database_url: str) -> Iterator[Engine]:
    """With the catalog's tables alone, which are there sooner than after all migrations."""
    engine = open_engine(database_url)
    metadata.create_all(engine, tables=CATALOG_TABLES)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database, as in a running system."""
    engine = open_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """A running S3 server that checks what it is sent."""
    with seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """A running moto server."""
    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def simple_ec2(moto_server: S3Server) -> Iterator[FakeEc2]:
    """EC2, its instances stood in for by processes that wait."""
    with fake_ec2(simple_boot(sys.executable), moto_server) as made:
        yield made


@pytest.fixture(scope="session", params=["file", "seaweedfs", "moto"])
def object_server(request: pytest.FixtureRequest) -> Iterator[S3Server | None]:
    """A running S3 server of each kind, one after the other; None for a folder."""
    if request.param == "seaweedfs":
        yield request.getfixturevalue("seaweedfs_server")
    elif request.param == "moto":
        yield request.getfixturevalue("moto_server")
    else:
        yield None


@pytest.fixture(scope="session")
def cloudwatch_server() -> Iterator[CloudWatchServer]:
    """A running CloudWatch."""
    with cloudwatch() as server:
        yield server
