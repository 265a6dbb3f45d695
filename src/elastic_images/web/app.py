"""The web app: what it answers, put together. Starts nothing and opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask, Response, jsonify
from prometheus_client import CollectorRegistry

from elastic_images.accounts.guard import Guard, rule
from elastic_images.http.base_app import base_app
from elastic_images.settings import Settings
from elastic_images.web import pages
from elastic_images.web.admission import admit_requests
from elastic_images.web.bulkheads import Bounds, default_bounds
from elastic_images.web.course.api import course_api
from elastic_images.web.error_pages import render_error
from elastic_images.web.openapi import openapi_document
from elastic_images.web.pages.layout import dress
from elastic_images.web.reads.route import images_route
from elastic_images.web.request_path import RestConverter
from elastic_images.web.rest.api import rest_api
from elastic_images.web.services import Images, Plane, PoolControl

_MAX_SMALL_FORM_BYTES = 1_000_000
_DRAINED_IMAGES = 4


@dataclass(frozen=True)
class WebServices:
    """What the app works with."""

    images: Images
    pool: PoolControl
    plane: Plane
    guard: Guard
    bounds: Bounds = field(default_factory=default_bounds)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    ready: Callable[[], None] = lambda: None


def create_app(services: WebServices, settings: Settings) -> Flask:
    """The app. `ImagePlane.wrap(app.wsgi_app)` puts the data plane in front of it."""
    app = base_app(
        "elastic_images.web",
        ready=services.ready,
        registry=services.registry,
        render_error=render_error,
        drains=services.bounds.drains,
        drain_bytes=_DRAINED_IMAGES * settings.max_image_bytes,
    )
    # A key is exact: nothing of a path is merged, redirected or guessed at.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.converters["rest"] = RestConverter
    # For the small forms that Flask itself reads; uploads are read and bounded by their own routes.
    app.config.update(MAX_CONTENT_LENGTH=_MAX_SMALL_FORM_BYTES, MAX_FORM_PARTS=100)
    admit_requests(app, services.bounds)
    services.guard.install(app)
    dress(app, services.guard, settings)
    _register(app, services, settings.max_image_bytes)
    return app


def _register(app: Flask, services: WebServices, max_image_bytes: int) -> None:
    images, plane, guard = services.images, services.plane, services.guard
    for blueprint in (
        images_route(plane),
        rest_api(images, plane, guard.accounts.users.get, max_image_bytes),
        course_api(images, services.pool, plane, max_image_bytes),
        pages.gallery_pages(images, max_image_bytes),
        pages.upload_pages(images, max_image_bytes),
        pages.image_pages(images, plane, max_image_bytes),
        pages.login_pages(guard),
        pages.account_pages(guard),
    ):
        app.register_blueprint(blueprint)

    @app.get("/openapi.json")
    @rule("public")
    def openapi() -> Response:
        return jsonify(openapi_document())
