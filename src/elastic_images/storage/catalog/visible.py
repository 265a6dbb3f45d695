"""Which images an actor may see, as SQL: `core.visibility.may_see` over rows of `images`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from elastic_images.core.image_facts import Actor
from elastic_images.storage.catalog.tables import images


def visible_to(actor: Actor | None) -> list[ColumnElement[bool]]:
    """The conditions; none for administrators and for None, which stands for our own processes.

    They are part of the query, so that pages are full.
    """
    if actor is None or actor.admin:
        return []
    if actor.user is None:
        return [images.c.visibility == "public"]
    return [or_(images.c.visibility != "private", images.c.owner_id == actor.user)]


def keys_by_digest(digests: list[str], actor: Actor) -> Select[Any]:
    """For each of these SHA-256 digests, the first key of an image of the actor's own; of any for administrators."""
    # A name without an id is an owner elsewhere.
    nobodys = and_(images.c.owner_id.is_(None), images.c.owner.is_(None))
    own = nobodys if actor.user is None else images.c.owner_id == actor.user
    which = [images.c.sha256.in_(digests), *visible_to(actor), *([] if actor.admin else [own])]
    place = func.row_number().over(partition_by=images.c.sha256, order_by=images.c.key)
    found = select(images.c.sha256, images.c.key, place.label("place")).where(*which).subquery()
    return select(found.c.sha256, found.c.key).where(found.c.place == 1)
