"""Who may change an image. Pure."""

from __future__ import annotations

from elastic_images.core.errors import Forbidden
from elastic_images.storage.facts import Actor


def check_may_change(actor: Actor, owner_id: int | None) -> None:
    """Return where `actor` may replace or delete an image of `owner_id`: his own, or any as an administrator.

    What nobody in particular uploaded, nobody in particular may change.

    Raises:
        Forbidden: he may not.
    """
    if not actor.admin and actor.user != owner_id:
        raise Forbidden("This image belongs to somebody else.")
