"""Assembles the storage app and starts its threads."""

from __future__ import annotations

from elastic_images import __version__
from elastic_images.core.errors import StoreAway
from elastic_images.database.engine import open_engine
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.readiness import Probe, ReadyGate, ask
from elastic_images.imaging.access import open_imaging
from elastic_images.imaging.broker_figures import BrokerFigures
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.prometheus import registry_for
from elastic_images.pool.invalidation import HttpInvalidationChannel, Invalidator
from elastic_images.pool.member_routes import pool_blueprint
from elastic_images.pool.store import PoolStore
from elastic_images.process.periodic import PeriodicLoop
from elastic_images.process.server import Bound
from elastic_images.process.starvation import PatientClock
from elastic_images.settings import Settings
from elastic_images.storage.acknowledger import TAKE_UP_SECONDS, Acknowledger
from elastic_images.storage.app import StorageServices, create_app
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.catalog.references import References
from elastic_images.storage.catalog.store_ids import recorded_id
from elastic_images.storage.catalog.trash import Trash
from elastic_images.storage.catalog.unexamined import Unexamined
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.image_reader import ImageReader
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.guarded import GuardedStore
from elastic_images.storage.readiness import StorageReadiness
from elastic_images.storage.refusals import Refusals
from elastic_images.storage.room import Room, written_folders
from elastic_images.storage.spool import Spool
from elastic_images.storage.upkeep.adoption import settle
from elastic_images.storage.upkeep.collector import ObjectCollector
from elastic_images.storage.upkeep.examiner import Examiner
from elastic_images.storage.upkeep.leases import UpkeepLeases
from elastic_images.storage.upkeep.scrub_record import ScrubRecord
from elastic_images.storage.upkeep.scrubber import Scrubber
from elastic_images.storage.write_path import WritePath

_CONNECTIONS = 16
_KEEP_SECONDS = 0.5
_EXAMINE_SECONDS = 60.0
_COLLECT_SECONDS = 60.0
_SCRUB_SECONDS = 3.0
_FIGURES_SECONDS = 5.0
_STOP_SECONDS = 1.0


class StorageService:
    """A storage app with its collaborators (`server.Service`)."""

    def __init__(self, settings: Settings, *, crash_point: CrashPoint = no_crash) -> None:
        self._engine = open_engine(settings.database, pool_size=_CONNECTIONS)
        self._raw_store = open_object_store(settings.object_store, crash_point=crash_point)
        self._store = GuardedStore(self._raw_store, settings.object_store, lambda: recorded_id(self._engine))
        self._place = settings.object_store
        self._http = InternalClient(settings.internal_token)
        pool = PoolStore(self._engine)
        self._patience_clock = PatientClock()
        self._invalidator = Invalidator(pool, HttpInvalidationChannel(self._http), patience_clock=self._patience_clock)
        catalog = Catalog(self._engine, retention_seconds=settings.retention_days * 86_400.0)
        changes, trash = ChangeLog(self._engine), Trash(self._engine)
        self._acknowledger = Acknowledger(changes, self._invalidator, crash_point=crash_point)
        self._imaging = open_imaging(settings)
        room = Room(written_folders(settings), settings.reserve_bytes)
        writes = WritePath(
            catalog,
            self._store,
            Spool(settings.data / "spool"),
            self._imaging.client,
            self._acknowledger,
            max_bytes=settings.max_image_bytes,
            strip_location=settings.strip_location,
            default_visibility=settings.default_visibility,
            room=room,
            require_store=self._store.require,
            crash_point=crash_point,
        )
        collector = ObjectCollector(changes, trash, self._store, crash_point=crash_point)
        counters = Counters()
        counters.follow(self._invalidator.statistics)
        counters.follow(collector.statistics)
        readiness = StorageReadiness(
            pool.stamp, self._store.check, room, counters.counter("database_failures").increment, self._imaging.check
        )
        counters.follow(readiness.figures)
        self.ready = ReadyGate(
            readiness.look,
            shared_seconds=settings.ready_shared_seconds,
            loops={
                "change-keeper": lambda: self._keeper.has_ended,
                "object-collector": lambda: self._collector.has_ended,
                "store-watch": lambda: self._watch.has_ended,
                "scrubber": lambda: self._scrub_loop.has_ended,
                "examiner": lambda: self._examine_loop.has_ended,
            },
        )
        self._refusals = Refusals()
        counters.follow_by_label("refused_uploads", self._refusals.totals)
        imaging = BrokerFigures(self._imaging.figures)
        counters.follow(imaging.others)
        counters.follow_by_label("imaging_jobs", imaging.jobs)
        counters.follow_by_label("imaging_seconds", imaging.seconds)
        registry = registry_for("storage", counters, version=__version__)
        bad_objects = BadObjects(self._engine)
        self._scrubber = Scrubber(
            ScrubRecord(self._engine),
            References(self._engine),
            UpkeepLeases(self._engine),
            self._store,
            bad_objects,
            self._store.confirm,
            days=settings.scrub_days,
        )
        self._upkeep_figures: dict[str, float] = {}
        # In the database: nobody who asks for figures should wait for one that hangs.
        count = Probe("upkeep-figures", lambda: self._count(bad_objects), fresh_seconds=_FIGURES_SECONDS)
        counters.follow(lambda: self._counted_by(count))
        reader = ImageReader(catalog, self._store, counters, bad_objects, self._store.confirm)
        self._examiner = Examiner(
            Unexamined(self._engine), UpkeepLeases(self._engine), reader.read, self._imaging.client
        )
        services = StorageServices(
            catalog=catalog,
            trash=trash,
            reader=reader,
            bad_objects=bad_objects,
            scrubber=self._scrubber,
            imaging=self._imaging.client,
            writes=writes,
            pool=pool_blueprint(pool),
            registry=registry,
            counters=counters,
            ready=self.ready,
            refusals=self._refusals,
        )
        self.wsgi = create_app(services, settings)
        self._take_up_seconds = 0.0
        self._keeper = PeriodicLoop("change-keeper", self._keep, _KEEP_SECONDS)
        self._collector = PeriodicLoop("object-collector", collector.collect, _COLLECT_SECONDS)
        self._watch = PeriodicLoop("store-watch", self._store.watch, self._store.watch_seconds)
        self._scrub_loop = PeriodicLoop(
            "scrubber",
            self._scrubber.work,
            _SCRUB_SECONDS,
            delay_seconds=_SCRUB_SECONDS,
            retry_seconds=_COLLECT_SECONDS,
        )
        self._examine_loop = PeriodicLoop(
            "examiner", self._examiner.work, _EXAMINE_SECONDS, delay_seconds=_SCRUB_SECONDS
        )

    def start(self, bound: Bound) -> None:  # noqa: ARG002 - storage does not register its address
        """See `server.Service`. Refuses requests by StoreAway while the store that it had before is away.

        Raises:
            StoreAway: this system never had a store, and cannot have this one.
            Unavailable: the object store cannot be used.
        """
        try:
            settle(self._engine, self._raw_store, self._place)
        except StoreAway:
            if recorded_id(self._engine) is None:
                raise
        else:
            self._store.check()
        self._imaging.start()
        self._watch.start()
        self._patience_clock.start()
        self._keeper.start()
        self._collector.start()
        self._scrub_loop.start()
        self._examine_loop.start()

    def stop(self) -> None:
        """See `server.Service`. Marks what was acknowledged; if that fails, another process does."""
        self._watch.stop(_STOP_SECONDS)
        self._scrubber.stop()
        self._examiner.stop()
        self._keeper.stop(_STOP_SECONDS)
        self._collector.stop(_STOP_SECONDS)
        self._scrub_loop.stop(_STOP_SECONDS)
        self._examine_loop.stop(_STOP_SECONDS)
        self._acknowledger.mark_done()
        self._invalidator.close()
        self._patience_clock.stop()
        self._http.close()
        self._engine.dispose()
        self._imaging.stop()

    def _counted_by(self, probe: Probe) -> dict[str, float]:
        """As of the last seconds, or of the last time that the database answered."""
        ask(count=probe)
        return self._upkeep_figures

    def _count(self, bad_objects: BadObjects) -> None:
        counts = bad_objects.counts()
        found = {"images_damaged": counts["damaged"], "images_lost": counts["lost"]}
        self._upkeep_figures = found | self._scrubber.figures() | self._examiner.figures()

    def _keep(self) -> None:
        """Finish pending changes: all of them in the first round, later those older than 5 s."""
        self._refusals.log_waiting()
        self._acknowledger.take_up(self._take_up_seconds)
        self._take_up_seconds = TAKE_UP_SECONDS


def build(settings: Settings) -> StorageService:
    """The service of a storage app. The database must be migrated before it starts."""
    return StorageService(settings)
