"""Assembles a node: its cache, its pool membership, its metrics."""

from __future__ import annotations

import time

from elastic_images import __version__
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.lean_client import LeanClient
from elastic_images.http.readiness import ReadyGate
from elastic_images.imaging.access import open_imaging
from elastic_images.imaging.broker_figures import BrokerFigures
from elastic_images.memcache.app import NodeServices, create_app
from elastic_images.memcache.fill_sources import PeerThenStorage
from elastic_images.memcache.front_reads import NodeFrontReads
from elastic_images.memcache.node import CacheNode
from elastic_images.memcache.plane import NodePlane
from elastic_images.memcache.readiness import NodeReadiness
from elastic_images.memcache.renditions import RenditionMaker
from elastic_images.memcache.warm.pull_thread import PullThread
from elastic_images.memcache.warm.sources import PullSources
from elastic_images.metrics.backends import open_metric_sink, publish_schedule_of
from elastic_images.metrics.collector import Origin
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.prometheus import registry_for
from elastic_images.metrics.publisher import Publisher
from elastic_images.metrics.rendition_figures import RenditionFigures
from elastic_images.pool.control_listener import ControlListener
from elastic_images.pool.lease_clock import lease_clock
from elastic_images.pool.life_lock import LifeLock, hold, node_lock_path
from elastic_images.pool.member import PoolMember
from elastic_images.pool.view import PoolView, node_id
from elastic_images.process.server import Bound
from elastic_images.settings import Settings
from elastic_images.settings.addresses import reachable_host
from elastic_images.storage.client import StorageClient

MEGABYTE = 1_000_000
_STORAGE_SECONDS = 1.2
_PATIENT_STORAGE_SECONDS = 20.0
"""For what a rendition is made of."""


class MemcacheService:
    """The node in one slot (`server.Service`)."""

    def __init__(self, settings: Settings, slot: int) -> None:
        self._settings = settings
        self._slot = slot
        self._lock: LifeLock | None = None
        self._http = InternalClient(settings.internal_token)
        self._cache = CoherentCache(ByteCache(settings.cache_mb * MEGABYTE), lease_clock, slot=slot)
        counters = Counters()
        counters.follow(self._cache.statistics)
        storage = StorageClient(self._http, settings.storage_urls, timeout_seconds=_STORAGE_SECONDS)
        patient = StorageClient(self._http, settings.storage_urls, timeout_seconds=_PATIENT_STORAGE_SECONDS)
        source, patient_source = (
            PeerThenStorage(slot, lambda: self._member.view, self._http, client) for client in (storage, patient)
        )
        self._imaging = open_imaging(settings)
        exposed = Counters()
        exposed.follow(counters.read)
        # Not among those that are published each 5 s: a broker that hangs would delay them.
        exposed.follow(BrokerFigures(self._imaging.figures).others)
        maker = RenditionMaker(self._cache, patient_source, self._imaging.client, RenditionFigures(exposed))
        node = CacheNode(self._cache, source, maker, counters)
        self._client = LeanClient(settings.internal_token)
        self._pulls = PullThread(
            slot,
            self._cache,
            PullSources(self._client, self._http),
            bytes_per_second=settings.warm_bytes_per_second,
        )
        plane = NodePlane(node, settings.internal_token, serve_stale_seconds=settings.serve_stale)
        self.reads = NodeFrontReads(plane, node)
        self.ready = ReadyGate(
            NodeReadiness(self._cache, storage.readiness).look,
            shared_seconds=settings.ready_shared_seconds,
            loops={"pool-member": lambda: self._member.has_ended},
        )
        services = NodeServices(
            node,
            plane,
            self._pulls.figures,
            counters.read,
            registry_for("memcache", exposed, version=__version__, source=node_id(slot)),
            time.time(),
            self.ready,
        )
        self.wsgi = create_app(services, settings, slot)
        self._control = ControlListener(settings.internal_host, 0, settings.internal_token, self._cache)
        self.control_port = self._control.port
        self._member = PoolMember(
            self._http,
            [*settings.storage_urls, settings.autoscaler_url],
            self._cache,
            register_urls=settings.storage_urls,
            member_id=node_id(slot),
            kind="node",
            on_view=self._apply,
        )
        self._publisher = Publisher(
            open_metric_sink(settings.metrics, self._http, settings.autoscaler_url, pool=settings.pool),
            counters,
            Origin(node_id(slot), "node", slot),
            schedule=publish_schedule_of(settings.metrics),
        )

    def start(self, bound: Bound) -> None:
        """See `server.Service`. Raises Conflict if another node runs in the slot."""
        self._lock = hold(node_lock_path(self._settings.data, self._slot))
        self._imaging.start()
        self._control.start()
        host = reachable_host(self._settings.advertise or self._settings.internal_host)
        self._member.start(f"{host}:{self._control.port}", bound.address, life=self._lock)
        self._pulls.start()
        self._publisher.start()

    def stop(self) -> None:
        """See `server.Service`."""
        self._member.stop()
        self._pulls.stop()
        self._control.stop()
        self._publisher.stop()
        self._imaging.stop()
        self._client.close()
        self._http.close()

    def _apply(self, view: PoolView) -> None:
        self._pulls.consider(view)
        config = view.config
        if "cache_mb" in config and "policy" in config:
            self._cache.configure(int(config["cache_mb"]) * MEGABYTE, str(config["policy"]))


def build(settings: Settings, slot: int) -> MemcacheService:
    """The service of the node in `slot`, 0 to 7."""
    return MemcacheService(settings, slot)
