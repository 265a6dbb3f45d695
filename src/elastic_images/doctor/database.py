"""Checks the database: reachable, writable, its schema and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from elastic_images.core.errors import ElasticImagesError
from elastic_images.database.engine import check_encoding, normalise_url, write_transaction
from elastic_images.database.explained import explained_engine
from elastic_images.database.migrate import is_unfinished_copy, newest_revision, refuse_newer, revision_of
from elastic_images.database.sqlite_file import check_soundness, file_of, is_missing
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding, compare_clocks
from elastic_images.process.logs import redact

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
    file = file_of(parsed)
    if file and is_missing(file):
        yield Finding(_AREA, NOTE, f"{file} does not exist yet: the first start creates it")
        return
    try:
        with explained_engine(url, answer_seconds=10) as engine:
            if file:
                check_soundness(file)
            yield from _inspect(engine, clock)
    except ElasticImagesError as error:
        # What is wrong, then what to do; a driver's reason in the first part may contain a colon, too.
        what, _, mend = str(error).rstrip(".").rpartition(": ")
        yield Finding(_AREA, BAD, what or mend, mend if what else None)


def _inspect(engine: Engine, clock: Callable[[], float]) -> Iterator[Finding]:
    with engine.connect() as connection:
        version = ".".join(map(str, (engine.dialect.server_version_info or ())[:3]))
        yield Finding(_AREA, OK, f"{engine.dialect.name} {version} answers")
        check_encoding(engine)
        yield from _clock(connection, clock)
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
    refuse_newer(engine, revision)
    return Finding(_AREA, NOTE, f"its schema is older ({revision}): the next start upgrades it to {newest}")
