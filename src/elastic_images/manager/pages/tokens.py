"""The API tokens of all users."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.access import safe_next
from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.principal import SCOPES
from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.manager.flash import FlashMessage
from elastic_images.manager.pages.answers import Answers

_DAY_SECONDS = 86_400.0
_LIFETIMES_DAYS = ("1", "7", "30", "90", "365")


def token_pages(accounts: Accounts, answers: Answers, clock: Callable[[], float]) -> Blueprint:
    """The routes."""
    pages = Blueprint("tokens", __name__, url_prefix="/tokens")

    @pages.get("")
    def tokens() -> str:
        now, found = clock(), accounts.tokens.list()
        return render_template(
            "tokens.html",
            active=[token for token in found if token.is_active(now)],
            over=[token for token in found if not token.is_active(now)],
            users=[user.name for user in accounts.users.list() if not user.disabled],
            scopes=SCOPES,
            lifetimes=_LIFETIMES_DAYS,
        )

    @pages.post("")
    def create() -> Response:
        form = request.form
        owner, label, days = form.get("user", ""), form.get("label", ""), form.get("days", "")
        scopes = form.getlist("scope")
        try:
            made, secret = accounts.tokens.create(owner, label, scopes, _lifetime(days))
        except ElasticImagesError as error:
            typed = {"user": owner, "label": label, "days": days, "scopes": " ".join(scopes)}
            return answers.refuse("/tokens", error, form="new", typed=typed)
        words = f"The token “{made.label}” of {made.user_name}. Copy it now; it is not shown again:"
        return answers.tell("/tokens", FlashMessage(words, secret=secret))

    @pages.post("/<int:token_id>/revoke")
    def revoke(token_id: int) -> Response:
        accounts.tokens.revoke(token_id)
        place = safe_next(request.form.get("next"), "/tokens").partition("?")[0]
        return answers.tell(place, FlashMessage("Token revoked."))

    return pages


def _lifetime(days: str) -> float | None:
    if not days:
        return None
    if days not in _LIFETIMES_DAYS:
        raise InvalidRequest(f"A token expires after {', '.join(_LIFETIMES_DAYS)} days, or never.")
    return int(days) * _DAY_SECONDS
