"""Who may change an image. Pure."""

from __future__ import annotations

from elastic_images.core.errors import Forbidden
from elastic_images.core.image_facts import Actor, ImageFacts
from elastic_images.core.visibility import may_see


def check_may_change(actor: Actor, facts: ImageFacts, owner_id: int | None) -> None:
    """Check that `actor` may change an image of `owner_id`: their own, or any as an administrator.

    Anonymous callers may change anonymous images that they can see. An owner with a name but no id belongs to another
    system: their image was restored here, where they have no account.

    Raises:
        Forbidden: they may not.
    """
    if not may_change(actor, facts, owner_id):
        raise Forbidden("This image belongs to somebody else.")


def may_change(actor: Actor, facts: ImageFacts, owner_id: int | None) -> bool:
    """As `check_may_change`."""
    unknown_here = owner_id is None and facts.owner is not None
    theirs = actor.admin or (actor.user == owner_id and not unknown_here)
    return theirs and may_see(actor, facts.visibility, owner_id)


def check_may_keep_facts(actor: Actor) -> None:
    """Check that `actor` may restore an image with its owner, times and version. Raises Forbidden."""
    if not actor.admin:
        raise Forbidden("Only an administrator may restore an image with its owner, times and version.")
