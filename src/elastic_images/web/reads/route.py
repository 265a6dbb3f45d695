"""`/images/<key>` where a session or a token is needed: the data plane lets such a request through to Flask."""

from __future__ import annotations

from flask import Blueprint, Response, request

from elastic_images.accounts.guard import rule
from elastic_images.web.services import Plane


def images_route(plane: Plane) -> Blueprint:
    """The route. The guard has let the caller pass, so the data plane answers."""
    api = Blueprint("images", __name__)

    @api.get("/images/<rest:_path>")
    @rule("image")
    def read(_path: str) -> Response:
        answer = plane.respond(request.environ)
        return Response(answer.body, status=answer.status, headers=answer.headers)

    return api
