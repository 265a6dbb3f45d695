"""Who may change an image. Pure."""

from __future__ import annotations

from elastic_images.core.errors import Forbidden
from elastic_images.core.image_facts import Actor


def check_may_change(actor: Actor, owner_id: int | None, owner: str | None) -> None:
    """Return where `actor` may replace or delete an image of `owner_id`: his own, or any as an administrator.

    What nobody in particular uploaded, nobody in particular may change. An owner with a name but without an id is of
    another system: his image was restored here, where he is nobody.

    Raises:
        Forbidden: he may not.
    """
    unknown_here = owner_id is None and owner is not None
    if not actor.admin and (unknown_here or actor.user != owner_id):
        raise Forbidden("This image belongs to somebody else.")


def check_may_keep_facts(actor: Actor) -> None:
    """Return where `actor` may say whose an image is, and of when. Raises Forbidden."""
    if not actor.admin:
        raise Forbidden("Only an administrator may restore an image with its owner, times and version.")
