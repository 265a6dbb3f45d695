"""Who may see an image. Pure.

To those who may not see it, an image does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from elastic_images.core.errors import InvalidRequest

if TYPE_CHECKING:
    from elastic_images.core.image_facts import Actor

Visibility = Literal["public", "members", "private"]
VISIBILITY_HEADER = "X-Visibility"
"""With a PUT: who may see the image."""
VISIBILITIES: tuple[Visibility, ...] = get_args(Visibility)


def parse_visibility(text: object) -> Visibility:
    """Give `text` back if it is one of the three words. Raises InvalidRequest."""
    if text not in VISIBILITIES:
        raise InvalidRequest(f"A visibility is public, members or private, not {text!r:.40}.")
    return text


def may_see(actor: Actor | None, visibility: Visibility, owner_id: int | None) -> bool:
    """Whether `actor` may see an image of this owner; None is a visitor without credentials.

    An image without an owner's id was uploaded anonymously, or its owner has no account here: if it is private, only
    administrators see it. Whether visitors may see anything at all (`ANONYMOUS=none`) is judged before.
    """
    if visibility == "public":
        return True
    if actor is None:
        return False
    if actor.admin:
        return True
    return actor.user is not None and (visibility == "members" or actor.user == owner_id)
