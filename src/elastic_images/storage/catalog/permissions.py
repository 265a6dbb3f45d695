"""Who may change an image. Pure."""

from __future__ import annotations

from elastic_images.core.errors import Forbidden
from elastic_images.core.image_facts import Actor


def check_may_change(actor: Actor, owner_id: int | None, owner: str | None) -> None:
    """Check that `actor` may replace or delete an image of `owner_id`: their own, or any as an administrator.

    Anonymous callers may change anonymous images. An owner with a name but no id belongs to another system: their
    image was restored here, where they have no account.

    Raises:
        Forbidden: they may not.
    """
    unknown_here = owner_id is None and owner is not None
    if not actor.admin and (unknown_here or actor.user != owner_id):
        raise Forbidden("This image belongs to somebody else.")


def check_may_keep_facts(actor: Actor) -> None:
    """Check that `actor` may restore an image with its owner, times and version. Raises Forbidden."""
    if not actor.admin:
        raise Forbidden("Only an administrator may restore an image with its owner, times and version.")
