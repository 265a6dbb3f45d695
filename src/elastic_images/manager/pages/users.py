"""The users: a list, a form for new ones, and a page for each."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from flask import Blueprint, g, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.passwords import new_password
from elastic_images.accounts.principal import ROLES
from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.manager.flash import FlashMessage
from elastic_images.manager.pages.answers import Answers

_DONE = {
    "disable": "{} is disabled: all sessions ended, and all tokens were revoked.",
    "enable": "{} can log in again.",
    "role": "The role of {} was changed.",
    "revoke": "All sessions of {} ended, and all tokens were revoked.",
}


def user_pages(accounts: Accounts, answers: Answers, clock: Callable[[], float]) -> Blueprint:
    """The routes."""
    pages = Blueprint("users", __name__, url_prefix="/users")

    @pages.get("")
    def users() -> str:
        return render_template("users.html", users=accounts.users.list(), roles=ROLES)

    @pages.post("")
    def add() -> Response:
        name, role = request.form.get("name", "").strip(), request.form.get("role", "user")
        given = request.form.get("password", "")
        password = given or new_password()
        try:
            user = accounts.users.add(name, password, role)
        except ElasticImagesError as error:
            return answers.refuse("/users", error, form="new", typed={"name": name, "role": role})
        return answers.tell("/users", _told(f"{user.name} was created.", "The password", given, password))

    @pages.get("/<name>")
    def user(name: str) -> str:
        found, now = accounts.users.get(name), clock()
        session = g.get("session")
        return render_template(
            "user.html",
            user=found,
            roles=ROLES,
            sessions=accounts.sessions.list(found.id),
            this_session=session.id if session else None,
            tokens=[token for token in accounts.tokens.list(found.name) if token.is_active(now)],
        )

    @pages.post("/<name>")
    def change(name: str) -> Response:
        place, action = _place(name), request.form.get("action", "")
        accounts.users.get(name)
        if action == "password":
            return _reset_password(accounts, answers, name, place)
        words = _DONE.get(action, "").format(name)
        return answers.carry_out(place, lambda: _change(accounts, name, action), words, form=action)

    @pages.post("/<name>/sessions/<int:session_id>/end")
    def end_session(name: str, session_id: int) -> Response:
        user_id = accounts.users.get(name).id
        accounts.sessions.revoke(session_id, user_id)
        return answers.tell(_place(name), FlashMessage("The session was ended."))

    return pages


def _place(name: str) -> str:
    return f"/users/{quote(name)}"


def _reset_password(accounts: Accounts, answers: Answers, name: str, place: str) -> Response:
    given = request.form.get("password", "")
    password = given or new_password()
    try:
        accounts.users.change(name, password=password)
    except ElasticImagesError as error:
        return answers.refuse(place, error, form="password")
    words = "The password was changed, and all sessions ended."
    return answers.tell(place, _told(words, "The new password", given, password))


def _told(words: str, what: str, given: str, password: str) -> FlashMessage:
    """A generated password is shown only here; a chosen one is known already."""
    return FlashMessage(words) if given else FlashMessage(f"{words} {what}, shown only once:", secret=password)


def _change(accounts: Accounts, name: str, action: str) -> None:
    if action in ("disable", "enable"):
        accounts.users.change(name, disabled=action == "disable")
    elif action == "role":
        accounts.users.change(name, role=request.form.get("role", ""))
    elif action == "revoke":
        accounts.users.revoke_all(name)
    else:
        raise InvalidRequest("Unknown action.")
