"""What is wrong with a database, in a sentence that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from elastic_images.core.errors import ElasticImagesError, Forbidden, InvalidRequest, OutOfSpace, Unavailable
from elastic_images.core.redact import hide_password
from elastic_images.database.engine import ANSWER_SECONDS, normalise_url, open_engine
from elastic_images.database.sqlite_file import damaged, file_of, is_damage, is_missing
from elastic_images.process.logs import redact


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the errors of SQLAlchemy, and of reading garbage, into ours. `url` is the database that the block uses.

    Raises:
        DatabaseDamaged: the SQLite file is damaged.
        InvalidRequest, Forbidden: the SQLite file is no file, or this user may not use it.
        OutOfSpace: the disk is full.
        Unavailable: anything else, with the reason.
    """
    try:
        yield
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise explanation(error, url) from error


@contextmanager
def explained_engine(url: str, *, answer_seconds: int = ANSWER_SECONDS) -> Iterator[Engine]:
    """An engine for the block alone, with its errors as by `explained`."""
    engine = open_engine(url, answer_seconds=answer_seconds)
    try:
        with explained(url):
            yield engine
    finally:
        engine.dispose()


def explanation(error: SQLAlchemyError | UnicodeDecodeError, url: str) -> ElasticImagesError:
    """Our error for one of the database at `url`. It names no password."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    file = file_of(url)
    if file is not None:
        return _of_file(error, cause, file)
    password = normalise_url(url).password
    reason = redact(" ".join(str(cause).split()), [str(password)] if password else [])
    return Unavailable(
        f"The database {hide_password(url)} does not answer ({reason}): check the server, its address, the password "
        "and the firewall."
    )


def _of_file(error: Exception, cause: BaseException | None, file: Path) -> ElasticImagesError:
    if os.path.isdir(file):  # noqa: PTH112 - not an error where it may not be seen
        return InvalidRequest(
            f"The database {file} is a folder: name a file in ELASTIC_IMAGES_DATABASE, such as "
            f"sqlite:///{file.absolute()}/elastic-images.db."
        )
    if is_damage(cause) or isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(cause):
        return damaged(file, cause)
    words = " ".join(str(cause).split())
    if "disk is full" in words:
        return OutOfSpace(f"There is no room for the database {file}: free some space.")
    if not _is_permitted(file):
        return Forbidden(
            f"This user may not read and write the database {file} and its folder: run the command as their owner, or "
            "change their owner or mode."
        )
    return Unavailable(
        f"The database {file} cannot be used ({words}): check the disk, and that no other program has it locked."
    )


def _is_permitted(file: Path) -> bool:
    # By the effective user, as for opening files; not every system can.
    how = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    beside = (Path(f"{file}{suffix}") for suffix in ("", "-wal", "-shm"))
    return os.access(file.parent, os.R_OK | os.W_OK | os.X_OK, **how) and all(
        os.access(part, os.R_OK | os.W_OK, **how) for part in beside if not is_missing(part)
    )
