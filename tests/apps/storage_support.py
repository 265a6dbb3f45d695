"""The storage app, served on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.process.server import Bound, serving
from elastic_images.settings import Settings
from elastic_images.storage.service import StorageService, build


@contextmanager
def served_storage(settings: Settings) -> Iterator[tuple[StorageService, Bound]]:
    """The storage app on a migrated database, while the block runs."""
    engine = open_engine(settings.database)
    migrate(engine)
    engine.dispose()
    service = build(settings)
    try:
        with serving(service.wsgi) as bound:
            service.start(bound)
            yield service, bound
    finally:
        service.stop()
