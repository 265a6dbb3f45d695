"""Your own account: password and sessions, as pages and as JSON."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from elastic_images.accounts.guard import Guard, current_principal, rule
from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.http.json_body import json_object, needed_text
from elastic_images.manager.api.facts import session_json, user_json
from elastic_images.manager.flash import FlashMessage
from elastic_images.manager.pages.answers import Answers


def account_pages(guard: Guard, answers: Answers) -> Blueprint:
    """The routes."""
    pages = Blueprint("account", __name__)
    accounts = guard.accounts

    @pages.get("/account")
    @rule("account")
    def account() -> str:
        return render_template(
            "account.html",
            user=accounts.users.get(current_principal().name),
            sessions=accounts.sessions.list(g.session.user_id),
            this_session=g.session.id,
        )

    @pages.post("/account/password")
    @rule("account")
    def change_password() -> BaseResponse:
        form = request.form
        response = redirect("/account", 303)
        try:
            if form.get("new", "") != form.get("again", ""):
                raise InvalidRequest("The new passwords do not match.")
            # The message is for the new session.
            g.session = guard.change_password(response, form.get("current", ""), form.get("new", "")).session
        except ElasticImagesError as error:
            return answers.refuse("/account", error, form="password")
        told = answers.tell("/account", FlashMessage("Your password was changed. You are signed out everywhere else."))
        response.headers["Location"] = told.headers["Location"]
        return response

    @pages.post("/account/sessions/<int:session_id>/end")
    @rule("account")
    def end_session(session_id: int) -> BaseResponse:
        accounts.sessions.revoke(session_id, g.session.user_id)
        return answers.tell("/account", FlashMessage("The session was ended."))

    @pages.get("/api/account")
    @rule("account")
    def account_json() -> Response:
        sessions = [session_json(session) for session in accounts.sessions.list(g.session.user_id)]
        return jsonify(user_json(accounts.users.get(current_principal().name)) | {"sessions": sessions})

    @pages.post("/api/account/password")
    @rule("account")
    def change_password_json() -> Response:
        body = json_object(("current", "new"))
        response = Response(status=204)
        guard.change_password(response, needed_text(body, "current"), needed_text(body, "new"))
        return response

    return pages
