"""Puts the autoscaler together: pool store, nodes, resizer, scaling loop and metrics."""

from __future__ import annotations

import logging
import threading

from elastic_images import __version__
from elastic_images.autoscaler.app import AutoscalerServices, create_app
from elastic_images.autoscaler.cache_clearer import CacheClearer
from elastic_images.autoscaler.config_store import ConfigStore
from elastic_images.autoscaler.health import HealthWatch, HttpProbe
from elastic_images.autoscaler.journal import Journal
from elastic_images.autoscaler.nodes.opening import open_node_provider
from elastic_images.autoscaler.nodes.provider import NodeProvider
from elastic_images.autoscaler.nodes.stats import HttpStatsReader, NodeStats
from elastic_images.autoscaler.plan import MapChange
from elastic_images.autoscaler.readiness import AutoscalerReadiness
from elastic_images.autoscaler.resizer import Resizer, resizer_loop
from elastic_images.autoscaler.scaling.decisions import DecisionLog
from elastic_images.autoscaler.scaling.loop import ScalingLoop
from elastic_images.autoscaler.warming import PullWarmer
from elastic_images.core.errors import Conflict
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.database.engine import open_engine
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.readiness import ReadyGate
from elastic_images.metrics.backends import open_metric_store
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.prometheus import registry_for
from elastic_images.pool.life_lock import LifeLock, hold
from elastic_images.pool.store import PoolStore
from elastic_images.process.server import Bound
from elastic_images.process.starvation import PatientClock
from elastic_images.settings import Settings

_STOP_SECONDS = 2.0
_TAKE_OVER_SECONDS = 0.1
_log = logging.getLogger(__name__)


class AutoscalerService:
    """The autoscaler (`server.Service`). Nodes outlive it."""

    def __init__(self, settings: Settings, provider: NodeProvider) -> None:
        # If it runs alone on its host, nothing has made the data folder yet.
        settings.data.mkdir(parents=True, exist_ok=True)
        self._lock_path = settings.data / "run" / "autoscaler.lock"
        self._lock: LifeLock | None = None
        self._stopping = threading.Event()
        self._successor = threading.Thread(target=self._succeed, name="take-over", daemon=True)
        self._engine = open_engine(settings.database)
        self._http = InternalClient(settings.internal_token)
        self._provider = provider
        self._metrics = open_metric_store(settings.metrics, settings.data, pool=settings.pool)
        self._stats = NodeStats(HttpStatsReader(self._http))
        self._clock = PatientClock()
        self._health = HealthWatch(HttpProbe(self._http), on_news=self._wake, clock=self._clock)
        counters = Counters()
        decisions_taken = counters.counter("decisions")
        ended = {"settle": counters.counter("resizes"), "abort": counters.counter("aborted_resizes")}

        def changed(change: MapChange) -> None:
            if change.kind in ended:
                ended[change.kind].increment()

        store, journal, decisions = PoolStore(self._engine), Journal(self._engine), DecisionLog(self._engine)
        first = ScalingConfig(num_nodes=settings.nodes, cache_mb=settings.cache_mb)
        config_store = ConfigStore(store, journal, first, on_change=self._hurry)
        warmer = PullWarmer(self._stats)
        self._resizer = resizer = Resizer(
            store, config_store, journal, provider, self._health, warmer, on_change=changed, clock=self._clock
        )
        counters.follow(resizer.figures)
        self._resizing = resizer_loop(resizer)
        self._scaling = ScalingLoop(
            config_store,
            self._metrics,
            decisions,
            pool=store.read,
            resizing=lambda: resizer.status.busy,
            last_resize_at=journal.last_finished_at,
            on_decision=lambda _: decisions_taken.add(1),
            interval_seconds=settings.scaling_interval_seconds,
        )
        readiness = AutoscalerReadiness(store, self._metrics, lambda: self._resizing.works)
        self.ready = ReadyGate(
            readiness.look,
            shared_seconds=settings.ready_shared_seconds,
            loops={"resizer": lambda: self._resizing.has_ended},
        )
        services = AutoscalerServices(
            store=store,
            config_store=config_store,
            journal=journal,
            decisions=decisions,
            metrics=self._metrics,
            stats=self._stats,
            status=lambda: resizer.status,
            clear=CacheClearer(self._http, store.read).clear,
            counters=counters,
            registry=registry_for("autoscaler", counters, version=__version__),
            ready=self.ready,
        )
        self.wsgi = create_app(services, settings)

    def start(self, bound: Bound) -> None:  # noqa: ARG002 - nodes know the address from the settings
        """See `server.Service`. It acts once no other autoscaler of this data folder does."""
        self._clock.start()
        try:
            self._act()
        except Conflict:
            _log.info("another autoscaler acts; taking over once it ends")
            self._successor.start()

    def _act(self) -> None:
        """Adopt the running nodes and start the loops. Raises Conflict if another autoscaler acts."""
        self._lock = hold(self._lock_path)
        self._resizer.adopt()
        self._resizing.start()
        self._scaling.start()

    def _succeed(self) -> None:
        while not self._stopping.wait(_TAKE_OVER_SECONDS):
            try:
                self._act()
            except Conflict:
                continue
            _log.info("took over from the other autoscaler")
            return

    def stop(self) -> None:
        """See `server.Service`."""
        self._stopping.set()
        if self._successor.is_alive():
            self._successor.join(_STOP_SECONDS)
        self._scaling.stop()
        self._resizing.stop(_STOP_SECONDS)
        self._health.close()
        self._clock.stop()
        self._stats.close()
        self._provider.close()
        self._metrics.close()
        self._http.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def _wake(self) -> None:
        self._resizing.wake()

    def _hurry(self) -> None:
        self._resizer.retry_at_once()
        self._wake()


def build(settings: Settings) -> AutoscalerService:
    """The autoscaler's service. Raises InvalidRequest if a setting names something that does not exist."""
    return AutoscalerService(settings, open_node_provider(settings))
