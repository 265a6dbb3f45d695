"""The manager app. Making it starts and opens nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Blueprint, Flask
from prometheus_client import CollectorRegistry

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.guard import Guard
from elastic_images.accounts.login_pages import login_pages
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.front.limits import FORM_BYTES
from elastic_images.http.base_app import base_app
from elastic_images.http.readiness import ReadyGate
from elastic_images.manager import api, pages
from elastic_images.manager.deletion import Deletion
from elastic_images.manager.flash import FlashMessages
from elastic_images.manager.overview import Overview, gather
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient


@dataclass(frozen=True)
class ManagerServices:
    """What the app works with."""

    accounts: Accounts
    pool: AutoscalerClient
    images: StorageClient
    clock: Callable[[], float] = time.time
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    ready: ReadyGate = field(default_factory=ReadyGate)
    deletion: Deletion | None = None
    """The caller must stop it."""

    def overview(self) -> Overview:
        """The state of the system now."""
        return gather(self.pool, self.images, self.accounts.check_database)


def create_app(services: ManagerServices, settings: Settings, guard: Guard | None = None) -> Flask:
    """The app. Its routes are for administrators, unless they declare another rule."""
    app = base_app(
        "elastic_images.manager",
        ready=services.ready,
        registry=services.registry,
        render_error=pages.render_error,
    )
    app.config.update(MAX_CONTENT_LENGTH=FORM_BYTES)
    guard = guard or Guard(services.accounts, settings)
    guard.install(app, default="admin")
    answers = pages.Answers(FlashMessages())
    pages.install_layout(app, answers, settings)
    deletion = services.deletion or Deletion(services.images)
    for blueprint in (*_api(services, settings, deletion), *_pages(services, settings, guard, answers, deletion)):
        app.register_blueprint(blueprint)
    return app


def _api(services: ManagerServices, settings: Settings, deletion: Deletion) -> list[Blueprint]:
    return [
        api.pool_api(services.pool, services.images, deletion, settings),
        api.upkeep_api(services.images),
        api.watch_api(services.pool, services.overview, services.clock),
        api.users_api(services.accounts),
        api.tokens_api(services.accounts),
    ]


def _pages(
    services: ManagerServices, settings: Settings, guard: Guard, answers: pages.Answers, deletion: Deletion
) -> list[Blueprint]:
    accounts, pool, clock = services.accounts, services.pool, services.clock
    return [
        login_pages(guard, skip_if=lambda principal: principal.is_admin),
        pages.dashboard_pages(pool, services.overview, clock),
        pages.pool_pages(pool, services.overview, answers, clock),
        pages.image_pages(services.images, deletion, answers),
        pages.record_pages(pool),
        pages.user_pages(accounts, answers, clock),
        pages.token_pages(accounts, answers, clock),
        pages.account_pages(guard, answers),
        pages.settings_pages(settings),
    ]
