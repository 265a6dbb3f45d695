"""The REST API of signing keys: list, create, rotate, revoke."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.accounts.principal import Principal
from elastic_images.accounts.signing_keys import SigningKey, SigningKeys
from elastic_images.core.errors import Forbidden, InvalidRequest, Unauthenticated
from elastic_images.http.json_body import json_object, needed_text, text


def signing_keys_api(keys: SigningKeys) -> Blueprint:
    """The routes. A key outlives the token that made it, so a plain user's token makes none."""
    api = Blueprint("signing_keys", __name__, url_prefix="/api/signing-keys")

    @api.get("")
    @rule("read")
    def keys_of() -> Response:
        asked = request.args.get("user")
        user = asked or (None if _caller().is_admin else _owner(None))
        _check_owner(user)
        return jsonify({"keys": [key_json(key) for key in keys.list(user)]})

    @api.post("")
    @rule("read")
    def create() -> tuple[Response, int]:
        body = json_object(("name", "user"))
        user = _owner(text(body, "user"))
        _check_owner(user)
        return _made(keys.create(user, needed_text(body, "name")))

    @api.post("/<kid>/rotate")
    @rule("read")
    def rotate(kid: str) -> tuple[Response, int]:
        return _made(keys.rotate(kid, _only_of()))

    @api.delete("/<kid>")
    @rule("read")
    def revoke(kid: str) -> tuple[str, int]:
        keys.revoke(kid, _only_of())
        return "", 204

    return api


def key_json(key: SigningKey) -> dict[str, Any]:
    """A key as the API tells it."""
    return {
        "id": key.kid,
        "user": key.user_name,
        "name": key.name,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def _made(made: tuple[SigningKey, str]) -> tuple[Response, int]:
    key, secret = made
    return jsonify(key_json(key) | {"secret": secret}), 201


def _caller() -> Principal:
    principal = current_principal()
    if principal.is_anonymous and not principal.is_admin:
        raise Unauthenticated("Log in, or send an API token as 'Authorization: Bearer ...'.")
    if not principal.is_admin and principal.via != "session":
        raise Forbidden("Signing keys need a session, or a token with the scope 'admin'.")
    return principal


def _owner(named: str | None) -> str:
    principal = _caller()
    owner = named or (None if principal.user_id is None else principal.name)
    if owner is None:
        raise InvalidRequest("user is missing. Name the key's owner.")
    return owner


def _check_owner(user: str | None) -> None:
    principal = _caller()
    if not principal.is_admin and user != principal.name:
        raise Forbidden("Only an administrator manages the signing keys of others.")


def _only_of() -> int | None:
    """Whose keys the caller may change: their own, or anybody's."""
    principal = _caller()
    return None if principal.is_admin else principal.user_id
