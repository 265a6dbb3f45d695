"""The database: reachable, writable, of the right schema, its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from elastic_images.core.errors import ElasticImagesError
from elastic_images.database.engine import normalise_url, open_engine, write_transaction
from elastic_images.database.migrate import is_unfinished_copy, newest_revision, revision_of
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.process.logs import redact
from elastic_images.settings.redact import hide_password

SKEW_SECONDS = 2.0
_AREA = "database"
_NOW = {
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
    "mariadb": "SELECT UNIX_TIMESTAMP(NOW(6))",
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
}
_TRIAL = Table("doctor_trial", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False))


def check_database(url: str, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Connect, make and drop a small table, look at the schema and the clock. A missing database is not made."""
    try:
        parsed = normalise_url(url)
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, str(error), "correct ELASTIC_IMAGES_DATABASE")
        return
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        yield Finding(_AREA, NOTE, f"{parsed.database} is not there yet: the first start makes it")
        return
    engine = open_engine(url, answer_seconds=10)
    try:
        yield from _look(engine, clock)
    except (DBAPIError, ElasticImagesError) as error:
        words = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        told = redact(words.strip(), [str(parsed.password)] if parsed.password else [])
        what = f"{hide_password(url)} cannot be used: {told}"
        yield Finding(_AREA, BAD, what, "see to the server, its name, the user's password and its network rules")
    finally:
        engine.dispose()


def _look(engine: Engine, clock: Callable[[], float]) -> Iterator[Finding]:
    with engine.connect() as connection:
        version = ".".join(map(str, (engine.dialect.server_version_info or ())[:3]))
        yield Finding(_AREA, OK, f"{engine.dialect.name} {version} answers")
        yield from _clock(connection, clock)
        if engine.dialect.name == "sqlite":
            sound = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
            if sound != "ok":
                yield Finding(_AREA, BAD, f"the file is damaged: {sound}", "restore it from a backup")
    yield _tried_to_write(engine)
    if is_unfinished_copy(engine):
        yield Finding(_AREA, BAD, "it holds an unfinished copy", "let `elastic-images migrate` finish it")
        return
    yield _schema(engine)


def _clock(connection: Connection, clock: Callable[[], float]) -> Iterator[Finding]:
    ask = _NOW.get(connection.dialect.name)
    if ask is None:
        return
    skew = abs(float(connection.execute(text(ask)).scalar_one()) - clock())
    if skew > SKEW_SECONDS:
        yield Finding("clocks", NOTE, f"the database's differs by {skew:.0f} s", "set this machine's clock by NTP")
    else:
        yield Finding("clocks", OK, "the database's is as this machine's")


def _tried_to_write(engine: Engine) -> Finding:
    try:
        _TRIAL.drop(engine, checkfirst=True)
        _TRIAL.create(engine)
        with write_transaction(engine) as connection:
            connection.execute(_TRIAL.insert().values(id=1))
        _TRIAL.drop(engine)
    except SQLAlchemyError as error:
        words = redact(str(getattr(error, "orig", error)).strip())
        mend = "give the user all rights on the database: GRANT ALL ON name.* TO user"
        return Finding(_AREA, BAD, f"a table cannot be made, written and dropped: {words}", mend)
    return Finding(_AREA, OK, "tables can be made, written and dropped")


def _schema(engine: Engine) -> Finding:
    if not inspect(engine).has_table("alembic_version"):
        return Finding(_AREA, NOTE, "it is empty: the first start makes the tables")
    revision = revision_of(engine)
    newest = newest_revision()
    if revision == newest:
        return Finding(_AREA, OK, f"its tables are of this version ({revision})")
    if revision is not None and revision > newest:
        mend = "use the version of Elastic Images that made them, or a newer one"
        return Finding(_AREA, BAD, f"its tables are of a newer version ({revision}) than this program ({newest})", mend)
    return Finding(_AREA, NOTE, f"its tables are older ({revision}): the next start brings them to {newest}")
