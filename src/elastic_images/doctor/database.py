"""Checks the database: reachable, writable, its schema and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from elastic_images.core.errors import ElasticImagesError
from elastic_images.database.engine import check_encoding, normalise_url, open_engine, write_transaction
from elastic_images.database.migrate import is_unfinished_copy, newest_revision, revision_of
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding, compare_clocks
from elastic_images.process.logs import redact
from elastic_images.settings.redact import hide_password

SKEW_SECONDS = 2.0
_AREA = "database"
_NOW = {
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
    "mariadb": "SELECT UNIX_TIMESTAMP(NOW(6))",
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
}
_PROBE = Table("doctor_trial", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False))


def check_database(url: str, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Connect, create and drop a small table, check the schema and the clock. Never creates a database."""
    try:
        parsed = normalise_url(url)
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, str(error), "correct ELASTIC_IMAGES_DATABASE")
        return
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        yield Finding(_AREA, NOTE, f"{parsed.database} does not exist yet: the first start creates it")
        return
    engine = open_engine(url, answer_seconds=10)
    try:
        yield from _inspect(engine, clock)
    except (DBAPIError, ElasticImagesError) as error:
        words = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        reason = redact(words.strip(), [str(parsed.password)] if parsed.password else [])
        what = f"{hide_password(url)} cannot be used: {reason}"
        yield Finding(_AREA, BAD, what, "check the server, its address, the password and the firewall")
    finally:
        engine.dispose()


def _inspect(engine: Engine, clock: Callable[[], float]) -> Iterator[Finding]:
    with engine.connect() as connection:
        version = ".".join(map(str, (engine.dialect.server_version_info or ())[:3]))
        yield Finding(_AREA, OK, f"{engine.dialect.name} {version} answers")
        check_encoding(engine)
        yield from _clock(connection, clock)
        if engine.dialect.name == "sqlite":
            sound = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
            if sound != "ok":
                yield Finding(_AREA, BAD, f"the file is damaged: {sound}", "restore it from a backup")
    yield _write(engine)
    if is_unfinished_copy(engine):
        yield Finding(_AREA, BAD, "it holds an unfinished copy", "run the same `elastic-images migrate` again")
        return
    yield _schema(engine)


def _clock(connection: Connection, clock: Callable[[], float]) -> Iterator[Finding]:
    ask = _NOW.get(connection.dialect.name)
    if ask is None:
        return
    skew = abs(float(connection.execute(text(ask)).scalar_one()) - clock())
    yield compare_clocks("the database's", skew, SKEW_SECONDS)


def _write(engine: Engine) -> Finding:
    try:
        _PROBE.drop(engine, checkfirst=True)
        _PROBE.create(engine)
        with write_transaction(engine) as connection:
            connection.execute(_PROBE.insert().values(id=1))
        _PROBE.drop(engine)
    except SQLAlchemyError as error:
        words = redact(str(getattr(error, "orig", error)).strip())
        mend = "grant the user all privileges: GRANT ALL ON name.* TO user"
        return Finding(_AREA, BAD, f"cannot create, write and drop a table: {words}", mend)
    return Finding(_AREA, OK, "tables can be created, written and dropped")


def _schema(engine: Engine) -> Finding:
    if not inspect(engine).has_table("alembic_version"):
        return Finding(_AREA, NOTE, "it is empty: the first start creates the tables")
    revision = revision_of(engine)
    newest = newest_revision()
    if revision == newest:
        return Finding(_AREA, OK, f"its schema is current ({revision})")
    if revision is not None and revision > newest:
        mend = "use the version of Elastic Images that created it, or a newer one"
        return Finding(_AREA, BAD, f"its schema is of a newer version ({revision}) than this program ({newest})", mend)
    return Finding(_AREA, NOTE, f"its schema is older ({revision}): the next start upgrades it to {newest}")
