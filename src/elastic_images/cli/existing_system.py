"""The database of a system that was started before. Never created: a mistyped `--data` would make an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from elastic_images.core.errors import Conflict, NotFound
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


def require_system(settings: Settings) -> None:
    """Check that the database has our tables.

    Raises:
        NotFound: it has none, because no system was ever started on it.
        ElasticImagesError: it cannot be used (`database.explained`).
    """
    from sqlalchemy import inspect

    from elastic_images.database.explained import explained_engine
    from elastic_images.database.sqlite_file import file_of, is_missing

    nothing = NotFound(f"No system was ever started on {settings.data}: start one, or choose its folder with --data.")
    file = file_of(settings.database)
    if file is not None and is_missing(file):
        raise nothing
    with explained_engine(settings.database) as engine:
        if not inspect(engine).has_table("users"):
            raise nothing


@contextmanager
def existing_database(settings: Settings, *, answer_seconds: int = 30) -> Iterator[Engine]:
    """The whole database, checked first, for a block that reads all of it. Errors in the block are explained, too.

    Raises:
        NotFound: no system was ever started on it.
        Conflict: it has the schema of another version of this program.
        ElasticImagesError: it cannot be used (`database.explained`).
    """
    from elastic_images.database.explained import explained_engine
    from elastic_images.database.migrate import newest_revision, refuse_newer, revision_of
    from elastic_images.database.sqlite_file import check_soundness, file_of

    if file := file_of(settings.database):
        check_soundness(file)
    require_system(settings)
    with explained_engine(settings.database, answer_seconds=answer_seconds) as engine:
        revision = revision_of(engine)
        refuse_newer(engine, revision)
        if revision != newest_revision():
            raise Conflict("The database is of an older version than this program: start the system once.")
        yield engine
