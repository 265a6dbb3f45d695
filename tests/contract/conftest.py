"""The databases and object servers that the contract suites run against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from tests.cloudwatch_servers import CloudWatchServer, cloudwatch
from tests.database_servers import DatabaseServer, mariadb, mariadb_installed, postgresql, postgresql_binaries
from tests.object_servers import S3Server, moto, seaweedfs


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


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """A running S3 server that checks what it is sent."""
    with seaweedfs() as server:
        yield server


@pytest.fixture(scope="session", params=["file", "seaweedfs", "moto"])
def object_server(request: pytest.FixtureRequest) -> Iterator[S3Server | None]:
    """A running S3 server of each kind, one after the other; None for a folder."""
    if request.param == "seaweedfs":
        yield request.getfixturevalue("seaweedfs_server")
    elif request.param == "moto":
        with moto() as server:
            yield server
    else:
        yield None


@pytest.fixture(scope="session")
def cloudwatch_server() -> Iterator[CloudWatchServer]:
    """A running CloudWatch."""
    with cloudwatch() as server:
        yield server
