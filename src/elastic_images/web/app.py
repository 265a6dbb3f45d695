"""The web app's factory. Starts nothing and opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Flask, Response, jsonify
from prometheus_client import CollectorRegistry

from elastic_images.accounts.guard import Guard, current_client, rule
from elastic_images.accounts.login_pages import login_pages
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.front.limits import FORM_BYTES
from elastic_images.http.base_app import base_app
from elastic_images.http.public_path import root
from elastic_images.http.readiness import ReadyGate
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient
from elastic_images.web import pages
from elastic_images.web.bulkheads import Bulkheads, apply_bulkheads, apply_shares, default_bulkheads
from elastic_images.web.cors import install_cors
from elastic_images.web.course.api import course_api
from elastic_images.web.error_pages import error_pages
from elastic_images.web.openapi import openapi_document
from elastic_images.web.pages.layout import install_layout
from elastic_images.web.reads.requested_images import rendition_rules
from elastic_images.web.reads.route import images_route
from elastic_images.web.request_path import RestConverter
from elastic_images.web.rest.api import rest_api
from elastic_images.web.rest.batch import batch_api
from elastic_images.web.rest.links import LinkMaker, links_api
from elastic_images.web.rest.signing_keys import signing_keys_api
from elastic_images.web.rest.trash import trash_api
from elastic_images.web.rest.upload_links import upload_links_api
from elastic_images.web.services import Plane
from elastic_images.web.uploads_by_link import uploader_by_link

_DRAINED_IMAGES = 4


@dataclass(frozen=True)
class WebServices:
    """The app's collaborators."""

    images: StorageClient
    pool: AutoscalerClient
    plane: Plane
    guard: Guard
    bulkheads: Bulkheads = field(default_factory=default_bulkheads)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    ready: ReadyGate = field(default_factory=ReadyGate)


def create_app(services: WebServices, settings: Settings) -> Flask:
    """The Flask app. `ImagePlane.in_front_of(app.wsgi_app, ...)` puts the data plane in front of it."""
    app = base_app(
        "elastic_images.web",
        ready=services.ready,
        registry=services.registry,
        render_error=error_pages(services.guard),
        drains=services.bulkheads.drains,
        drain_bytes=_DRAINED_IMAGES * settings.max_image_bytes,
    )
    # Keys are exact: never merge slashes or redirect.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.converters["rest"] = RestConverter
    # For forms that Flask parses; upload routes have their own limits.
    app.config.update(MAX_CONTENT_LENGTH=FORM_BYTES, MAX_FORM_PARTS=100)
    apply_bulkheads(app, services.bulkheads)
    install_cors(app, settings.cors_origins)
    services.guard.install(app, by_link=uploader_by_link(services.guard.accounts.signing_keys))
    apply_shares(app, services.bulkheads, current_client)
    install_layout(app, services.guard, settings)
    _register(app, services, settings)
    return app


def _register(app: Flask, services: WebServices, settings: Settings) -> None:
    max_image_bytes = settings.max_image_bytes
    images, plane, guard = services.images, services.plane, services.guard
    keys = guard.accounts.signing_keys
    maker = LinkMaker(keys, rendition_rules(settings).presets)
    for blueprint in (
        images_route(plane),
        rest_api(images, plane, guard.accounts.users.get, max_image_bytes),
        batch_api(images),
        trash_api(images),
        links_api(images, maker),
        upload_links_api(maker, max_image_bytes),
        signing_keys_api(keys),
        course_api(images, services.pool, plane, max_image_bytes),
        pages.gallery_pages(images, max_image_bytes),
        pages.upload_pages(images, max_image_bytes, settings.default_visibility),
        pages.image_pages(images, plane, maker, max_image_bytes, settings.rendition_widths),
        pages.trash_pages(images),
        login_pages(
            guard,
            skip_if=lambda principal: principal.via == "session",
            after_logout="/login?done=logged-out",
        ),
        pages.account_pages(guard),
        pages.docs_pages(),
    ):
        app.register_blueprint(blueprint)

    @app.get("/openapi.json")
    @rule("public")
    def openapi() -> Response:
        return jsonify(openapi_document(root()))
