"""The tokens: list, create, revoke."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.guard import current_principal
from elastic_images.core.errors import InvalidRequest
from elastic_images.http.json_body import json_object, needed_text, seconds, text, texts
from elastic_images.manager.api.facts import token_json


def tokens_api(accounts: Accounts) -> Blueprint:
    """The routes."""
    api = Blueprint("tokens-api", __name__, url_prefix="/api/tokens")

    @api.get("")
    def tokens() -> Response:
        found = accounts.tokens.list(request.args.get("user"))
        return jsonify({"tokens": [token_json(token) for token in found]})

    @api.post("")
    def create() -> tuple[Response, int]:
        body = json_object(("user", "label", "scopes", "expires_seconds"))
        principal = current_principal()
        owner = text(body, "user") or (None if principal.user_id is None else principal.name)
        if owner is None:
            raise InvalidRequest("user is missing. Name the token's owner.")
        token, secret = accounts.tokens.create(
            owner, needed_text(body, "label"), texts(body, "scopes"), seconds(body, "expires_seconds")
        )
        return jsonify(token_json(token) | {"secret": secret}), 201

    @api.delete("/<int:token_id>")
    def revoke(token_id: int) -> tuple[str, int]:
        accounts.tokens.revoke(token_id)
        return "", 204

    return api
