"""Refuses to work where no system was ever started."""

from __future__ import annotations

from elastic_images.core.errors import NotFound
from elastic_images.settings import Settings


def require_system(settings: Settings) -> None:
    """Check that the database has our tables. It is never created here: a mistyped `--data` would make an empty system.

    Raises:
        NotFound: it has none, because no system was ever started on it.
        Unavailable: it does not answer.
    """
    from pathlib import Path

    from sqlalchemy import inspect
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from elastic_images.core.errors import Unavailable
    from elastic_images.database.engine import normalise_url, open_engine

    url = make_url(normalise_url(settings.database))
    nothing = NotFound(f"No system was ever started on {settings.data}: start one, or choose its folder with --data.")
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise nothing
    engine = open_engine(settings.database)
    try:
        if not inspect(engine).has_table("users"):
            raise nothing
    except SQLAlchemyError as error:
        raise Unavailable("The database does not answer.") from error
    finally:
        engine.dispose()
