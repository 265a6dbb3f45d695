"""All tables of the system at once, for comparing a database with what the code expects."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import MetaData

from elastic_images.database.base import metadata

_ROOMS = ("accounts", "autoscaler", "pool", "storage.catalog")


def import_all() -> MetaData:
    """The shared MetaData with the tables of every room on it.

    The rooms are named by text: this room knows none of them, each puts its tables on the MetaData by itself.
    """
    for room in _ROOMS:
        import_module(f"elastic_images.{room}.tables")
    return metadata
