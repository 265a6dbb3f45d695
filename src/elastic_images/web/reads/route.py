"""`/images/<key>` where Flask is needed: the data plane lets through what needs credentials, and errors for people."""

from __future__ import annotations

from flask import Blueprint, Response, request

from elastic_images.accounts.guard import rule
from elastic_images.core.errors import Unauthenticated
from elastic_images.web.refusals import REFUSAL
from elastic_images.web.services import Plane


def images_route(plane: Plane) -> Blueprint:
    """The route. The guard has let the caller pass, so the data plane answers."""
    api = Blueprint("images", __name__)

    @api.get("/images/<rest:_path>")
    @rule("image")
    def read(_path: str) -> Response:
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            raise refusal
        answer = plane.respond(request.environ)
        if answer is None:  # their session or token has ended since the guard looked
            raise Unauthenticated("Log in, or send an API token as 'Authorization: Bearer ...'.")
        return Response(answer.body, status=answer.status, headers=answer.headers)

    return api
