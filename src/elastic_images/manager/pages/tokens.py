"""The API tokens of all users."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.flask_guard import rule
from elastic_images.accounts.principal import SCOPES
from elastic_images.core.errors import ElasticImagesError, InvalidRequest

_DAY_SECONDS = 86_400.0
_LIFETIMES_DAYS = ("1", "7", "30", "90", "365")


def token_pages(accounts: Accounts, clock: Callable[[], float]) -> Blueprint:
    """The routes."""
    pages = Blueprint("tokens", __name__, url_prefix="/tokens")

    def page(error: ElasticImagesError | None = None, **extra: object) -> str:
        return render_template(
            "tokens.html",
            tokens=accounts.tokens.list(),
            users=[user for user in accounts.users.list() if not user.disabled],
            scopes=SCOPES,
            lifetimes=_LIFETIMES_DAYS,
            now=clock(),
            error=error,
            **extra,
        )

    @pages.get("")
    @rule("admin")
    def tokens() -> str:
        return page()

    @pages.post("")
    @rule("admin")
    def create() -> str | tuple[str, int]:
        form = request.form
        try:
            made, secret = accounts.tokens.create(
                form.get("user", ""), form.get("label", ""), form.getlist("scope"), _lifetime(form.get("days", ""))
            )
        except ElasticImagesError as error:
            return page(error), error.status
        return page(made=made, secret=secret)

    @pages.post("/<int:token_id>/revoke")
    @rule("admin")
    def revoke(token_id: int) -> Response:
        accounts.tokens.revoke(token_id)
        return redirect("/tokens?done=revoked", 303)

    return pages


def _lifetime(days: str) -> float | None:
    if not days:
        return None
    if days not in _LIFETIMES_DAYS:
        raise InvalidRequest(f"A token lives {', '.join(_LIFETIMES_DAYS)} days, or until it is revoked.")
    return int(days) * _DAY_SECONDS
