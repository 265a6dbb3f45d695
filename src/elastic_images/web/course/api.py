"""The course API: what the system's ancestors speak. Success is a word, and so is failure, with status 200."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify

from elastic_images.core.errors import ElasticImagesError
from elastic_images.web.course.images import add_image_calls
from elastic_images.web.course.pool import add_pool_calls
from elastic_images.web.services import Images, Plane, PoolControl

_REFUSALS = frozenset({401, 403})
_REACHED = "course_reached"


def course_api(images: Images, pool: PoolControl, plane: Plane, max_image_bytes: int) -> Blueprint:
    """The routes. Each is a POST, with or without a slash at its end, and gives the facts of its success."""
    api = Blueprint("course", __name__)

    @api.before_request
    def reached() -> None:
        # The guard and the bounds have let the request pass: what goes wrong from here on is the API's own.
        setattr(g, _REACHED, True)

    add_image_calls(api, images, plane, max_image_bytes)
    add_pool_calls(api, pool)
    return api


def course_error(error: ElasticImagesError) -> Response:
    """How the course API says `error`: status 200, but where the caller may not ask, and for trouble on our side.

    Clients look at `success`; proxies, and whoever waits for a system to come back, at the status: 503 stays 503.
    """
    answer = jsonify({"success": "false", "error": {"code": error.status, "message": str(error)}})
    is_its_own = g.get(_REACHED) and error.status not in _REFUSALS and not error.is_ours
    if not is_its_own:
        answer.status_code = error.status
    return answer
