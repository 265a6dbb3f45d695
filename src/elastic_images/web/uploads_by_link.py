"""Who stores an image by an upload link, and what the link allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from flask import g, request

from elastic_images.accounts.principal import Principal
from elastic_images.accounts.signing_keys import SigningKeys
from elastic_images.core.errors import Forbidden
from elastic_images.core.upload_links import UploadLink, parse_upload_link
from elastic_images.web.request_path import key_in_path

IMAGES = "/api/images/"


def is_by_link(method: str) -> bool:
    """Whether the request stores an image by a link, or says so."""
    return method == "PUT" and request.path.startswith(IMAGES) and "sig" in request.args


def current_link() -> UploadLink | None:
    """The link by which the current request came, judged."""
    return cast("UploadLink | None", g.get("upload_link"))


def uploader_by_link(keys: SigningKeys, clock: Callable[[], float] = time.time) -> Callable[[], Principal | None]:
    """For `Guard.install`: whose link the current request has. The account may write, but is no administrator by it.

    What is called raises InvalidRequest, SignatureInvalid, SignatureExpired, Forbidden and Unavailable.
    """

    def principal() -> Principal | None:
        if not is_by_link(request.method):
            return None
        key = key_in_path(request.environ, IMAGES)
        link = parse_upload_link(request.query_string.decode("latin-1"))
        if link is None:
            return None
        account = keys.find(link.signature.kid)
        link.check(None if account is None else account.upload_secret, key, clock())
        if account is None or "write" not in account.principal.scopes:
            raise Forbidden("Who made this link may not upload images any more.")
        keys.note_use(account)
        g.upload_link = link
        return Principal(account.principal.user_id, account.principal.name, frozenset({"read", "write"}), "link")

    return principal
