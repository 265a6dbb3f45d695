"""Migrates a database to the newest schema, once even if several processes try at the same time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from elastic_images.core.errors import Conflict
from elastic_images.database.lock import database_lock
from elastic_images.database.sqlite_file import copy_before_upgrade, copy_for, file_of

_log = logging.getLogger(__name__)
_MIGRATIONS = Path(__file__).parent / "migrations"
UNFINISHED_COPY = "unfinished_copy"
"""The marker table in a database that another one is being copied into (`database.copying`)."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A database's schema was upgraded. `copy` is the SQLite file as it was before; None for servers."""

    before: str
    after: str
    copy: Path | None


def migrate(engine: Engine, *, unfinished_copy: bool = False) -> Upgrade | None:
    """Run the missing migrations under a lock. Does nothing, and gives None, if the database is up to date.

    An SQLite database that has a schema is copied beside itself first.

    Raises:
        Unavailable: another process has been migrating for two minutes.
        Conflict: it holds an unfinished copy of another database, and `unfinished_copy` is false; or its schema is
            newer than this program.
        OutOfSpace: there is no room for the copy.
    """
    if not unfinished_copy and is_unfinished_copy(engine):
        raise Conflict("The database holds an unfinished copy: finish it with `elastic-images migrate` first.")
    with database_lock(engine):
        before, after, file = revision_of(engine), newest_revision(), file_of(engine.url)
        refuse_newer(engine, before)
        if before == after:
            return None
        copy = None if before is None or file is None or unfinished_copy else copy_before_upgrade(file, after)
        with engine.connect() as connection:
            command.upgrade(alembic_config(connection), "head")
            connection.commit()
    if before is None:
        return None
    kept = f"; as it was, it is kept in {copy}" if copy else ""
    _log.info("upgraded the database's schema from %s to %s%s", before, after, kept)
    return Upgrade(before, after, copy)


def refuse_newer(engine: Engine, revision: str | None) -> None:
    """Raise Conflict, which says how to go on, if a program older than the schema `revision` is running."""
    known = known_revisions()
    if revision is None or revision in known:
        return
    file = file_of(engine.url)
    copy = copy_for(file, known) if file else None
    back = "restore a backup made before the upgrade"
    if file and copy:
        back = f"put {copy}, made before the upgrade, in the place of {file.name}, without its -wal and -shm"
    raise Conflict(
        f"The database was upgraded by a newer version of Elastic Images (schema {revision}, this program knows "
        f"{max(known)}): install that version again, or {back} (docs/upgrading.md)."
    )


def is_unfinished_copy(engine: Engine) -> bool:
    """Whether a copy of another database into this one is running or was interrupted."""
    return inspect(engine).has_table(UNFINISHED_COPY)


def revision_of(engine: Engine) -> str | None:
    """The revision of the schema; None if there is no schema yet."""
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def newest_revision() -> str:
    """The revision that `migrate` migrates to."""
    found = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    if found is None:
        raise AssertionError("there are no migrations")
    return found


def known_revisions() -> frozenset[str]:
    """Every revision that this program can bring to the newest one."""
    return frozenset(script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions())


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration without an ini file; commands use `connection`."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
