"""The course API of the system's predecessors: `success` is a string, and failures have status 200."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import ElasticImagesError
from elastic_images.storage.client import StorageClient
from elastic_images.web.course.images import add_image_calls
from elastic_images.web.course.pool import add_pool_calls
from elastic_images.web.services import Plane

_REFUSALS = frozenset({401, 403})
_REACHED = "course_reached"


def course_api(images: StorageClient, pool: AutoscalerClient, plane: Plane, max_image_bytes: int) -> Blueprint:
    """The routes. Each is a POST, with or without a trailing slash."""
    api = Blueprint("course", __name__)

    @api.before_request
    def reached() -> None:
        # The guard and the bulkheads let the request pass; errors from here on are the API's own.
        setattr(g, _REACHED, True)

    add_image_calls(api, images, plane, max_image_bytes)
    add_pool_calls(api, pool)
    return api


def course_error(error: ElasticImagesError) -> Response:
    """An error as the course API sends it: with status 200, except for refused callers and server errors.

    Clients check `success`, but proxies and health checks look at the status, so 503 stays 503.
    """
    answer = jsonify({"success": "false", "error": {"code": error.status, "message": str(error)}})
    is_its_own = g.get(_REACHED) and error.status not in _REFUSALS and not error.is_ours
    if not is_its_own:
        answer.status_code = error.status
    return answer
