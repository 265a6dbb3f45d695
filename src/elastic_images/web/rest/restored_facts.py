"""The facts that an administrator restores an image with: `X-Keep-Facts` on `PUT /api/images/<key>`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from flask import Request

from elastic_images.accounts.guard import current_principal
from elastic_images.accounts.names import check_name
from elastic_images.accounts.users import User
from elastic_images.core.errors import Forbidden, NotFound
from elastic_images.core.restored_facts import KEEP_FACTS_HEADER, RestoredFacts

FindUser = Callable[[str], User]
"""The user of a name. Raises NotFound."""


def restored_facts(request: Request, find_user: FindUser) -> RestoredFacts | None:
    """What the request wants kept, None where it asks for nothing of the kind.

    An owner who is a user here is named as he is here. One who is not stays a name, without rights: whoever gets that
    name later does not get the image.

    Raises:
        Forbidden: the caller is no administrator.
        InvalidRequest: the header makes no sense.
    """
    text = request.headers.get(KEEP_FACTS_HEADER)
    if text is None:
        return None
    if not current_principal().is_admin:
        raise Forbidden(f"{KEEP_FACTS_HEADER} is for administrators.")
    kept = RestoredFacts.parse(text, time.time())
    if kept.owner is None:
        return kept
    try:
        user = find_user(check_name(kept.owner))
    except NotFound:
        return kept
    return replace(kept, owner=user.name, owner_id=user.id)
