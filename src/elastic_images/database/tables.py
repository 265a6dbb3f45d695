"""All tables of the system, to compare a database with what the code expects."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import MetaData

from elastic_images.database.base import metadata

_ROOMS = ("accounts", "autoscaler", "pool", "storage.catalog")


def import_all() -> MetaData:
    """The shared MetaData with every room's tables.

    The rooms are imported by name, since this one may not depend on them.
    """
    for room in _ROOMS:
        import_module(f"elastic_images.{room}.tables")
    return metadata
