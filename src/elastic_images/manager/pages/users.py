"""The users: a list with a form for new ones, and a page for each."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.flask_guard import rule
from elastic_images.accounts.passwords import new_password
from elastic_images.accounts.principal import ROLES
from elastic_images.core.errors import ElasticImagesError, InvalidRequest

Answer = str | Response | tuple[str, int]


class _Pages:
    """How the two pages are made."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._clock = clock

    def all(self, error: ElasticImagesError | None = None, **extra: object) -> str:
        """The list; with a password that was just made, once."""
        return render_template("users.html", users=self._accounts.users.list(), roles=ROLES, error=error, **extra)

    def one(self, name: str, error: ElasticImagesError | None = None, **extra: object) -> str:
        """A user with his sessions and tokens. Raises NotFound."""
        user, now = self._accounts.users.get(name), self._clock()
        return render_template(
            "user.html",
            user=user,
            roles=ROLES,
            sessions=self._accounts.sessions.list(user.id),
            tokens=[token for token in self._accounts.tokens.list(user.name) if token.is_active(now)],
            error=error,
            **extra,
        )


def user_pages(accounts: Accounts, clock: Callable[[], float]) -> Blueprint:
    """The routes."""
    blueprint = Blueprint("users", __name__, url_prefix="/users")
    pages = _Pages(accounts, clock)

    @blueprint.get("")
    @rule("admin")
    def users() -> str:
        return pages.all()

    @blueprint.post("")
    @rule("admin")
    def add() -> Answer:
        password = request.form.get("password", "") or new_password()
        try:
            user = accounts.users.add(request.form.get("name", "").strip(), password, request.form.get("role", "user"))
        except ElasticImagesError as error:
            return pages.all(error, typed=request.form.get("name", "")), error.status
        return pages.all(made=user, password=password)

    @blueprint.get("/<name>")
    @rule("admin")
    def user(name: str) -> str:
        return pages.one(name)

    @blueprint.post("/<name>")
    @rule("admin")
    def change(name: str) -> Answer:
        try:
            return _change(accounts, pages, name)
        except ElasticImagesError as error:
            return pages.one(name, error), error.status

    @blueprint.post("/<name>/sessions/<int:session_id>/end")
    @rule("admin")
    def end_session(name: str, session_id: int) -> Response:
        accounts.sessions.revoke(session_id, accounts.users.get(name).id)
        return redirect(url_for("users.user", name=name, done="ended"), 303)

    return blueprint


def _change(accounts: Accounts, pages: _Pages, name: str) -> Answer:
    users, action, done = accounts.users, request.form.get("action", ""), "changed"
    if action == "password":
        password = request.form.get("password", "") or new_password()
        users.set_password(name, password)
        return pages.one(name, password=password)
    if action == "disable":
        users.disable(name)
    elif action == "enable":
        users.enable(name)
    elif action == "role":
        users.set_role(name, request.form.get("role", ""))
    elif action == "revoke":
        users.revoke_all(name)
        done = "thrown-out"
    else:
        raise InvalidRequest("There is no such action.")
    return redirect(url_for("users.user", name=name, done=done), 303)
