"""Puts the manager together: accounts, and clients of the other apps."""

from __future__ import annotations

from elastic_images import __version__
from elastic_images.accounts.accounts import open_accounts
from elastic_images.accounts.guard import Guard
from elastic_images.accounts.proxies import Proxies
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.front.reads import NoReads
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.readiness import ReadyGate
from elastic_images.manager.app import ManagerServices, create_app
from elastic_images.manager.deletion import Deletion
from elastic_images.manager.readiness import ManagerReadiness
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.prometheus import registry_for
from elastic_images.process.server import Bound
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient

_ASK_SECONDS = 3.0
"""How long a page waits for another app before it reports that it is not responding."""


class ManagerService:
    """The manager (`server.Service`). Its only own thread is that of a running deletion."""

    def __init__(self, settings: Settings) -> None:
        self._http = InternalClient(settings.internal_token)
        self._accounts = open_accounts(settings)
        images = StorageClient(self._http, settings.storage_urls, timeout_seconds=_ASK_SECONDS)
        self._deletion = Deletion(images)
        pool = AutoscalerClient(self._http, settings.autoscaler_url, timeout_seconds=_ASK_SECONDS)
        readiness = ManagerReadiness(pool, images, self._accounts.check_database)
        self.ready = ReadyGate(readiness.look, shared_seconds=settings.ready_shared_seconds)
        services = ManagerServices(
            accounts=self._accounts,
            pool=pool,
            ready=self.ready,
            images=images,
            deletion=self._deletion,
            registry=registry_for("manager", Counters(), version=__version__),
        )
        guard = Guard(self._accounts, settings)
        self.early_answers = {b"/login": guard.login_refusals.answer}
        self.wsgi = create_app(services, settings, guard)
        self.reads = NoReads()
        proxies = Proxies(settings.trusted_proxies)
        self.is_proxy, self.forwarded_address = proxies.is_trusted, proxies.address_of

    def start(self, bound: Bound) -> None:
        """See `server.Service`."""

    def stop(self) -> None:
        """See `server.Service`."""
        self._deletion.stop()
        self._http.close()
        self._accounts.close()


def build(settings: Settings) -> ManagerService:
    """The service. Raises InvalidRequest if a setting is invalid."""
    return ManagerService(settings)
