"""Logging in and out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.access import safe_next
from elastic_images.accounts.guard import Guard, current_principal, rule
from elastic_images.core.errors import TooManyRequests, Unauthenticated


def login_pages(guard: Guard) -> Blueprint:
    """The routes."""
    pages = Blueprint("login", __name__)

    @pages.get("/login")
    @rule("login")
    def form() -> str | Response:
        target = safe_next(request.args.get("next"))
        if current_principal().is_admin:
            return redirect(target, 303)
        return render_template("login.html", next=target, name="", error=None)

    @pages.post("/login")
    @rule("login")
    def log_in() -> Response | tuple[str, int, dict[str, str]]:
        name, target = request.form.get("name", ""), safe_next(request.form.get("next"))
        response = redirect(target, 303)
        try:
            guard.log_in(response, name, request.form.get("password", ""))
        except (Unauthenticated, TooManyRequests) as error:
            page = render_template("login.html", next=target, name=name, error=error)
            seconds = error.retry_after_seconds
            return page, error.status, {"Retry-After": str(seconds)} if seconds else {}
        return response

    @pages.post("/logout")
    @rule("login")
    def log_out() -> Response:
        response = redirect("/login", 303)
        guard.log_out(response)
        return response

    return pages
