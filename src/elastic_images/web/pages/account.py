"""The account page: password, API tokens, signing keys and sessions."""

from __future__ import annotations

import json
import time
from typing import Any

from flask import Blueprint, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.guard import Guard, current_principal, rule, set_cookie
from elastic_images.accounts.principal import SCOPES, scopes_of_role
from elastic_images.core.errors import ElasticImagesError, InvalidRequest

_DAY_SECONDS = 86_400.0
_PATH = "/account"
_SHOWN_WITHIN_SECONDS = 60
_LIFETIMES = {"": None, "30": 30 * _DAY_SECONDS, "365": 365 * _DAY_SECONDS}


def account_pages(guard: Guard) -> Blueprint:
    """The routes."""
    pages = Blueprint("account", __name__)
    accounts = guard.accounts

    @pages.get("/account")
    @rule("account")
    def account() -> Response:
        token, key = (_kept_secret(guard, kind) for kind in ("token", "key"))
        response = make_response(_page(guard, new_token=token, new_key=key))
        for kind, kept in (("token", token), ("key", key)):
            if kept:
                set_cookie(response, _cookie(guard, kind), "", max_age=0, path=_PATH, samesite="Strict")
        return response

    @pages.post("/account/password")
    @rule("account")
    def change_password() -> Response | tuple[str, int]:
        new = request.form.get("new", "")
        try:
            if new != request.form.get("again", ""):
                raise InvalidRequest("The new passwords do not match.")
            response = redirect("/account?done=password", 303)
            guard.change_password(response, request.form.get("current", ""), new)
        except ElasticImagesError as error:
            return _page(guard, password_error=error), error.status
        return response

    @pages.post("/account/tokens")
    @rule("account")
    def create_token() -> Response | tuple[str, int]:
        lifetime = request.form.get("days", "")
        try:
            if lifetime not in _LIFETIMES:
                raise InvalidRequest("days must be 30, 365 or empty.")
            token, secret = accounts.tokens.create(
                current_principal().name,
                request.form.get("label", ""),
                request.form.getlist("scope"),
                _LIFETIMES[lifetime],
            )
        except ElasticImagesError as error:
            return _page(guard, token_error=error), error.status
        return _shown_once(guard, "token", token.label, secret)

    @pages.post("/account/tokens/<int:token_id>/revoke")
    @rule("account")
    def revoke_token(token_id: int) -> Response:
        accounts.tokens.revoke(token_id, user_id=current_principal().user_id)
        return redirect("/account?done=revoked", 303)

    @pages.post("/account/keys")
    @rule("account")
    def create_key() -> Response | tuple[str, int]:
        try:
            key, secret = accounts.signing_keys.create(current_principal().name, request.form.get("name", ""))
        except ElasticImagesError as error:
            return _page(guard, key_error=error), error.status
        return _shown_once(guard, "key", key.kid, secret)

    @pages.post("/account/keys/<kid>/rotate")
    @rule("account")
    def rotate_key(kid: str) -> Response:
        key, secret = accounts.signing_keys.rotate(kid, user_id=current_principal().user_id)
        return _shown_once(guard, "key", key.kid, secret)

    @pages.post("/account/keys/<kid>/revoke")
    @rule("account")
    def revoke_key(kid: str) -> Response:
        accounts.signing_keys.revoke(kid, user_id=current_principal().user_id)
        return redirect("/account?done=key-revoked", 303)

    @pages.post("/account/sessions/<int:session_id>/end")
    @rule("account")
    def end_session(session_id: int) -> Response:
        accounts.sessions.revoke(session_id, g.session.user_id)
        return redirect("/account?done=ended", 303)

    return pages


def _page(guard: Guard, **extra: Any) -> str:
    accounts, me, now = guard.accounts, current_principal(), time.time()
    role = accounts.users.get(me.name).role
    return render_template(
        "account.html",
        role=role,
        scopes=[scope for scope in SCOPES if scope in scopes_of_role(role)],
        tokens=[token for token in accounts.tokens.list(me.name) if token.is_active(now)],
        keys=[key for key in accounts.signing_keys.list(me.name) if key.revoked_at is None],
        sessions=accounts.sessions.list(g.session.user_id),
        this_session=g.session.id,
        **extra,
    )


def _cookie(guard: Guard, kind: str) -> str:
    return f"{guard.cookie_name}_{kind}"


def _shown_once(guard: Guard, kind: str, label: str, secret: str) -> Response:
    """The next page shows the secret. It must not be in a URL, and a reload must not create another one."""
    response = redirect(f"/account#new-{kind}", 303)
    value, name = json.dumps([label, secret]), _cookie(guard, kind)
    set_cookie(response, name, value, max_age=_SHOWN_WITHIN_SECONDS, path=_PATH, samesite="Strict")
    return response


def _kept_secret(guard: Guard, kind: str) -> tuple[str, str] | None:
    """Label and secret of the token or key just created; None if there is none."""
    try:
        label, secret = json.loads(request.cookies.get(_cookie(guard, kind), ""))
    except (ValueError, TypeError):
        return None
    return str(label), str(secret)
