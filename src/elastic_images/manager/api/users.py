"""The users: list, create, change, sign out."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, jsonify

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.passwords import new_password
from elastic_images.core.errors import InvalidRequest
from elastic_images.http.json_body import flag, json_object, needed_text, text
from elastic_images.manager.api.facts import session_json, user_json


def users_api(accounts: Accounts) -> Blueprint:
    """The routes."""
    api = Blueprint("users-api", __name__, url_prefix="/api/users")

    @api.get("")
    def users() -> Response:
        return jsonify({"users": [user_json(user) for user in accounts.users.list()]})

    @api.post("")
    def add() -> tuple[Response, int, dict[str, str]]:
        body = json_object(("name", "password", "role"))
        given = text(body, "password")
        password = new_password() if given is None else given
        role = text(body, "role")
        user = accounts.users.add(needed_text(body, "name"), password, "user" if role is None else role)
        # A generated password is shown only in this response.
        shown = user_json(user) | ({"password": password} if given is None else {})
        return jsonify(shown), 201, {"Location": f"/api/users/{quote(user.name)}"}

    @api.get("/<name>")
    def user(name: str) -> Response:
        return jsonify(user_json(accounts.users.get(name)))

    @api.patch("/<name>")
    def change(name: str) -> Response:
        body = json_object(("role", "disabled", "password"))
        if not body:
            raise InvalidRequest("Nothing to change. Give role, disabled or password.")
        changed = accounts.users.change(
            name, role=text(body, "role"), disabled=flag(body, "disabled"), password=text(body, "password")
        )
        return jsonify(user_json(changed))

    @api.post("/<name>/revoke")
    def revoke(name: str) -> Response:
        return jsonify(user_json(accounts.users.revoke_all(name)))

    @api.get("/<name>/sessions")
    def sessions(name: str) -> Response:
        found = accounts.sessions.list(accounts.users.get(name).id)
        return jsonify({"sessions": [session_json(session) for session in found]})

    @api.delete("/<name>/sessions/<int:session_id>")
    def end_session(name: str, session_id: int) -> tuple[str, int]:
        accounts.sessions.revoke(session_id, accounts.users.get(name).id)
        return "", 204

    return api
