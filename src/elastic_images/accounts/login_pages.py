"""The login and logout pages of `web` and `manager`; each app has its own `login.html`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.access import safe_next
from elastic_images.accounts.guard import Guard, current_principal, rule
from elastic_images.accounts.principal import Principal
from elastic_images.core.errors import TooManyRequests, Unauthenticated
from elastic_images.http.public_path import root


def login_pages(guard: Guard, *, skip_if: Callable[[Principal], bool], after_logout: str = "/login") -> Blueprint:
    """The routes. `skip_if` tells for whom the form is skipped, because they are logged in already.

    `after_logout` is where a logout leads.
    """
    pages = Blueprint("login", __name__)

    @pages.get("/login")
    @rule("login")
    def form() -> str | Response:
        target = safe_next(request.args.get("next"))
        if skip_if(current_principal()):
            return redirect(target, 303)
        return render_template("login.html", next=target, name="", error=None)

    @pages.post("/login")
    @rule("login")
    def log_in() -> Response | tuple[str, int]:
        name, target = request.form.get("name", ""), safe_next(request.form.get("next"))
        response = redirect(target, 303)
        try:
            guard.log_in(response, name, request.form.get("password", ""))
        except Unauthenticated as error:
            return render_template("login.html", next=target, name=name, error=error), error.status
        except TooManyRequests as error:
            response = guard.login_refusals.make(partial(_refusal, error), name, target, root())
            response.status_code = error.status
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response

    @pages.post("/logout")
    @rule("login")
    def log_out() -> Response:
        response = redirect(after_logout, 303)
        guard.log_out(response)
        return response

    return pages


def _refusal(error: TooManyRequests, name: str, target: str) -> str:
    return render_template("login.html", next=target, name=name, error=error)
