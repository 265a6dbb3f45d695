"""The REST API that makes links to open an image until a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, jsonify

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.accounts.signing_keys import SigningAccount, SigningKeys
from elastic_images.core.errors import InvalidRequest, Unauthenticated
from elastic_images.core.keys import check_key, quote_key
from elastic_images.core.rendition_query import RENDITION_PARAMETERS, RenditionQuery, parse_query
from elastic_images.core.signed_links import MAX_LINK_SECONDS, signed_query
from elastic_images.http.json_body import json_object, needed_text, seconds
from elastic_images.http.public_path import public_path
from elastic_images.storage.client import StorageClient

_MANY = 1_000_000
"""More than any number that a rendition has."""


class LinkMaker:
    """Makes signed links for the caller of the current request. Safe to share between threads."""

    def __init__(
        self, keys: SigningKeys, presets: Mapping[str, RenditionQuery], clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._presets = presets
        self._clock = clock

    def link(self, key: str, parameters: Mapping[str, str], expires_in_seconds: float) -> dict[str, Any]:
        """The address that opens a rendition of an image, and when it ends. Whether they may read it was asked.

        Raises:
            InvalidRequest: there is no such rendition, or the time is out of bounds.
            Unauthenticated: the caller has no account.
        """
        parse_query(urlencode(parameters), self._presets)
        expires_at = self.expires_at(expires_in_seconds)
        account = self.account()
        query = signed_query(account.secret, account.kid, key, parameters, expires_at)
        return {"url": f"{origin()}{public_path(f'/images/{quote_key(key)}')}?{query}", "expires_at": expires_at}

    def account(self) -> SigningAccount:
        """The caller's, with the key for links made here. Raises Unauthenticated if they have none."""
        principal = current_principal()
        if principal.user_id is None:
            raise Unauthenticated("A link speaks for an account: log in, or send an API token.")
        return self._keys.own(principal.name)

    def expires_at(self, expires_in_seconds: float) -> int:
        """When a link ends that is made now. Raises InvalidRequest."""
        if not 1 <= expires_in_seconds <= MAX_LINK_SECONDS:
            raise InvalidRequest(f"expires_in is a number of seconds from 1 to {MAX_LINK_SECONDS:,} (a year).")
        return math.ceil(self._clock() + expires_in_seconds)


def links_api(images: StorageClient, maker: LinkMaker) -> Blueprint:
    """The routes."""
    api = Blueprint("links", __name__)

    @api.post("/api/links")
    @rule("read")
    def link() -> Response:
        body = json_object(("key", "params", "expires_in"))
        key, parameters, lasting = check_key(needed_text(body, "key")), _parameters(body), expires_in_seconds(body)
        images.metadata(key, actor=current_principal().actor())
        return jsonify(maker.link(key, parameters, lasting))

    return api


def origin() -> str:
    """The address of the site, as the current request's client knows it."""
    return f"{g.client.scheme}://{g.client.host}"


def _parameters(body: dict[str, Any]) -> dict[str, str]:
    given = body.get("params")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidRequest('params must be an object, such as {"w": 400}.')
    for name, value in given.items():
        if name not in RENDITION_PARAMETERS:
            raise InvalidRequest(f"params has no {name[:40]!r}; use {', '.join(sorted(RENDITION_PARAMETERS))}.")
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MANY
        if not is_number and not (isinstance(value, str) and value.isascii()):
            raise InvalidRequest(f"params: {name} must be a number, or a string such as an address has.")
    return {name: value if isinstance(value, str) else f"{value:g}" for name, value in given.items()}


def expires_in_seconds(body: dict[str, Any]) -> float:
    """How long a link is wanted. Raises InvalidRequest."""
    found = seconds(body, "expires_in")
    if found is None:
        raise InvalidRequest("expires_in is missing: say for how many seconds the link is to work.")
    return found
