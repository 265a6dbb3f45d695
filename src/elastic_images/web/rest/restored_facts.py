"""The `X-Keep-Facts` header, with which an administrator restores an image's owner, times and version."""

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
"""Looks up a user by name. Raises NotFound."""


def restored_facts(request: Request, find_user: FindUser) -> RestoredFacts | None:
    """The facts to restore, or None without the header.

    An owner with an account here gets the spelling and id of that account. Any other owner stays a bare name without
    rights: a user who takes that name later does not get the image.

    Raises:
        Forbidden: the caller is not an administrator.
        InvalidRequest: the header is invalid.
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
