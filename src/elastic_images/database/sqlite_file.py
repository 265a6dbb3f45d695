"""The file of an SQLite database: whether it is sound, and copies of it as it was before an upgrade."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from elastic_images.core.errors import DatabaseDamaged, OutOfSpace
from elastic_images.database.engine import normalise_url

_STEPS = 10_000
"""How many of SQLite's instructions run between two looks at the clock."""
_KEPT_COPIES = 2
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def file_of(url: str | URL) -> Path | None:
    """The file of the database at `url`; None if it has none. Raises InvalidRequest."""
    parsed = normalise_url(url) if isinstance(url, str) else url
    on_disk = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(parsed.database or "") if on_disk else None


def is_missing(file: Path) -> bool:
    """Whether there is no such file, as far as this user may know."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def is_damage(error: BaseException | None) -> bool:
    """Whether this is SQLite's error for a damaged file."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorname", "").startswith(_DAMAGED)


def damaged(file: Path, what: object) -> DatabaseDamaged:
    """The error for a damaged file."""
    return DatabaseDamaged(
        f"The database {file} is damaged ({what}): move it away with {file.name}-wal and {file.name}-shm, which belong "
        "to it, and bring back a backup with `elastic-images restore`. If you put a copy of the file here yourself, "
        "remove only the -wal and the -shm of the old one."
    )


def check_soundness(file: Path, *, limit_seconds: float = float("inf")) -> bool:
    """Check the structure of the whole file, if it exists. False: there was no time for all of it.

    The file is only read: a journal left beside it is not written into it, so removing the journal may still help.
    A file that cannot be opened passes; opening it properly says why.

    Raises:
        DatabaseDamaged: it is not a sound database.
    """
    ends_at = time.monotonic() + limit_seconds
    try:
        with contextlib.closing(_open(file)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if is_damage(error):
            raise damaged(file, error) from error
        return error.sqlite_errorname != "SQLITE_INTERRUPT"
    if found != "ok":
        raise damaged(file, " ".join(found.split()))
    return True


def copy_before_upgrade(file: Path, revision: str) -> Path:
    """Copy the database beside itself before it gets the schema `revision`. Keeps the newest two such copies.

    Raises:
        OutOfSpace: there is no room for the copy.
    """
    copy = file.with_name(f"{file.name}.before-{revision}")
    size = sum(part.stat().st_size for part in (file, Path(f"{file}-wal")) if part.exists())
    if shutil.disk_usage(file.parent).free < 2 * size:
        raise OutOfSpace(
            f"The upgrade needs {2 * size / 1e6:.0f} MB of free space in {file.parent}, half of it for a copy of the "
            "database as it is now: free some space and start again."
        )
    half = Path(f"{copy}.part")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(_open(file)) as source, contextlib.closing(sqlite3.connect(half)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # a file by itself, without a -wal
    half.replace(copy)
    for old in copies(file)[:-_KEPT_COPIES]:
        old.unlink()
    return copy


def copies(file: Path) -> list[Path]:
    """The copies that were made before upgrades, oldest schema first."""
    return sorted(path for path in file.parent.glob(f"{file.name}.before-*") if path.suffix != ".part")


def copy_for(file: Path, revisions: frozenset[str]) -> Path | None:
    """The newest copy whose schema is one of `revisions`."""
    return next((copy for copy in reversed(copies(file)) if _revision_in(copy) in revisions), None)


def _revision_in(copy: Path) -> str | None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_open(copy)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    return None


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True, timeout=10)
