"""The SQLite file behind `LocalMetricStore`: tables, opening, errors."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elastic_images.core.errors import OutOfSpace, Unavailable

_log = logging.getLogger(__name__)

VERSION = 1
"""Schema version, kept in `user_version`. A file of another version is set aside: metrics may be lost, not misread."""

_TABLES = """
CREATE TABLE sample (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    ended_at REAL NOT NULL,
    requests INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    misses INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sample_by_end ON sample (ended_at);
CREATE TABLE step (
    step_seconds INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    is_node INTEGER NOT NULL,
    ended_at REAL NOT NULL,
    requests INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    evictions INTEGER NOT NULL,
    bypasses INTEGER NOT NULL,
    items INTEGER NOT NULL,
    used_bytes INTEGER NOT NULL,
    PRIMARY KEY (step_seconds, started_at, source)
) WITHOUT ROWID;
"""


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the file, with its tables. Callers must lock it if they share it between threads.

    A file that is damaged or of another version is renamed to `<name>.unreadable` and replaced by a new one.

    Raises:
        Unavailable, OutOfSpace: it can be neither opened nor created.
    """
    with our_errors():
        try:
            return _connect(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            _log.warning("metrics file unreadable, starting a new one: %s", error)
    _set_aside(path)
    with our_errors():
        return _connect(path)


@contextmanager
def our_errors() -> Iterator[None]:
    """Convert SQLite's errors to ours."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OutOfSpace("The disk is full: metrics cannot be stored.") from error
        raise Unavailable(f"The metrics file cannot be used: {error}.") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        # A power failure may lose the last seconds but never corrupts the file, and writes do not wait for the disk.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        _check_version(version or VERSION)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(version: int) -> None:
    if version != VERSION:
        raise sqlite3.DatabaseError(f"its tables are of version {version}, not {VERSION}")


def _set_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(f"{path.name}.unreadable"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"The metrics file cannot be replaced: {error.strerror}.") from error
