"""Wires the web app: accounts, clients of storage and autoscaler, and the data plane in front."""

from __future__ import annotations

from elastic_images import __version__
from elastic_images.accounts.accounts import open_accounts
from elastic_images.accounts.guard import Guard
from elastic_images.accounts.proxies import Proxies
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.readiness import ReadyGate
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.prometheus import registry_for
from elastic_images.process.periodic import PeriodicLoop
from elastic_images.process.server import Bound
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient
from elastic_images.web.app import WebServices, create_app
from elastic_images.web.bulkheads import MAX_FORMS, MAX_UPLOADS, MAX_WAITING
from elastic_images.web.membership import PoolMembership
from elastic_images.web.readiness import WebReadiness
from elastic_images.web.reads.viewers import Viewers
from elastic_images.web.refusals import refuse_by

_LOOK_SECONDS = 1.0
_REFRESH_SECONDS = 0.5
_STOP_SECONDS = 1.0


class WebService:
    """The web app with its collaborators (`server.Service`)."""

    def __init__(self, settings: Settings) -> None:
        self._http = InternalClient(settings.internal_token, connections=MAX_UPLOADS + MAX_FORMS + MAX_WAITING)
        self._accounts = open_accounts(settings)
        self._guard = Guard(self._accounts, settings)
        self._storage = StorageClient(self._http, settings.storage_urls)
        self._viewers = Viewers(
            self._guard.mode, self._guard.principal_of, self._guard.principals_of, self._accounts.signing_keys
        )
        self._accounts.when_revoked(self._viewers.forget)
        counters = Counters()
        self._pool = PoolMembership(settings, self._http, self._storage, counters, self._viewers)
        readiness = WebReadiness(
            self._storage,
            self._accounts.check_database,
            lambda: self._pool.view,
            open_to_all=settings.anonymous != "none",
        )
        self.ready = ReadyGate(
            readiness.look,
            shared_seconds=settings.ready_shared_seconds,
            loops={"pool-member": lambda: self._pool.has_ended},
        )
        services = WebServices(
            images=self._storage,
            pool=AutoscalerClient(self._http, settings.autoscaler_url),
            plane=self._pool.plane,
            guard=self._guard,
            registry=registry_for("web", counters, version=__version__, source=self._pool.member_id),
            ready=self.ready,
        )
        self._gone_callers = PeriodicLoop("gone-callers", self._storage.gone_callers.look, _LOOK_SECONDS)
        self._people = PeriodicLoop("people", self._follow_people, _REFRESH_SECONDS)
        self.reads = self._pool.reads(self._guard.host_allowed)
        self.max_image_bytes = settings.max_image_bytes
        proxies = Proxies(settings.trusted_proxies)
        self.is_proxy, self.forwarded_address = proxies.is_trusted, proxies.address_of
        self.early_answers = {b"/login": self._guard.login_refusals.answer}
        app = create_app(services, settings)
        self._pool.plane.refuse = refuse_by(app)
        self.wsgi = self._pool.plane.in_front_of(app.wsgi_app, self._guard.host_allowed)

    @property
    def control_port(self) -> int | None:
        """The port for invalidations; None without a near cache."""
        return self._pool.control_port

    def start(self, bound: Bound) -> None:  # noqa: ARG002 - only the control listener's address is told to others
        """See `server.Service`."""
        self._pool.start()
        self._gone_callers.start()
        self._people.start()

    def leave(self) -> None:
        """See `server.run`."""
        self._pool.leave()

    def stop(self) -> None:
        """See `server.Service`."""
        self._gone_callers.stop(_STOP_SECONDS)
        self._people.stop(_STOP_SECONDS)
        self._pool.stop()
        self._http.close()
        self._accounts.close()

    def _follow_people(self) -> None:
        self._viewers.refresh()
        self._accounts.write_uses()


def build(settings: Settings) -> WebService:
    """The service of a web app. Migrate the database before starting it."""
    return WebService(settings)
