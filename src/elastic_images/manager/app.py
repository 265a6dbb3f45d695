"""The manager app: what it answers, put together. Starts nothing and opens nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask
from prometheus_client import CollectorRegistry

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.flask_guard import Guard
from elastic_images.apps import base_app
from elastic_images.manager import api, pages
from elastic_images.manager.ports import ImageStore, PoolControl
from elastic_images.settings import Settings

_MAX_BODY_BYTES = 100_000


@dataclass(frozen=True)
class ManagerServices:
    """What the app works with."""

    accounts: Accounts
    pool: PoolControl
    images: ImageStore
    clock: Callable[[], float] = time.time
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)


def create_app(services: ManagerServices, settings: Settings) -> Flask:
    """The app. Every route is for administrators, but the login's."""

    def ready() -> None:
        services.accounts.check_database()

    app = base_app("elastic_images.manager", ready=ready, registry=services.registry, render_error=pages.render_error)
    app.config.update(MAX_CONTENT_LENGTH=_MAX_BODY_BYTES)
    guard = Guard(services.accounts, settings)
    guard.install(app)
    pages.dress(app)
    accounts, pool, images = services.accounts, services.pool, services.images
    for blueprint in (
        api.pool_api(pool, images, settings),
        api.users_api(accounts),
        api.tokens_api(accounts),
        pages.login_pages(guard),
        pages.overview_pages(pool, images),
        pages.record_pages(pool),
        pages.user_pages(accounts, services.clock),
        pages.token_pages(accounts, services.clock),
        pages.settings_pages(settings),
    ):
        app.register_blueprint(blueprint)
    return app
