"""Web's membership of the pool: the near cache as a member, the way to the nodes, and the data plane on both."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from elastic_images.core.errors import Conflict, Unavailable
from elastic_images.front.reads import Environ
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.lean_client import LeanClient
from elastic_images.metrics.backends import open_metric_sink, publish_schedule_of
from elastic_images.metrics.collector import Origin
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.publisher import Publisher
from elastic_images.pool.control_listener import ControlListener
from elastic_images.pool.life_lock import LifeLock, hold
from elastic_images.pool.member import PoolMember
from elastic_images.pool.router import RENDITION_SECONDS, PoolRouter
from elastic_images.pool.view import PoolView
from elastic_images.settings import Settings
from elastic_images.settings.addresses import reachable_host
from elastic_images.web.reads.front_reads import WebFrontReads
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.plane import EntryReader, ImagePlane
from elastic_images.web.reads.relay import Relays
from elastic_images.web.reads.requested_images import RequestedImages, rendition_rules
from elastic_images.web.reads.viewers import Viewers

MEGABYTE = 1_000_000
_MOST_PROCESSES = 256


class PoolMembership:
    """Assembles the data plane and its parts. Call `start` and `stop` once each."""

    def __init__(
        self,
        settings: Settings,
        http: InternalClient,
        storage: EntryReader,
        counters: Counters,
        viewers: Viewers,
    ) -> None:
        self.member_id, self._lock = _take_id(settings.data)
        near = NearCache(settings.near_cache_mb * MEGABYTE) if settings.near_cache_mb else None
        self._control: ControlListener | None = None
        if near is not None:
            counters.follow(near.cache.statistics)
            self._control = ControlListener(settings.internal_host, 0, settings.internal_token, near.cache)
        self._host = reachable_host(settings.advertise or settings.internal_host)
        self._member = PoolMember(
            http,
            [*settings.storage_urls, settings.autoscaler_url],
            near.cache if near else None,
            register_urls=settings.storage_urls,
            member_id=self.member_id,
            kind="web",
        )
        self._client = LeanClient(settings.internal_token)
        self._patient_client = LeanClient(settings.internal_token, answer_seconds=RENDITION_SECONDS)
        self._near, self._counters = near, counters
        router = PoolRouter(
            lambda: self._member.view,
            self._member.refresh,
            self._client,
            self._patient_client,
            on_failure=counters.counter("node_failures").increment,
        )
        self.plane = ImagePlane(
            router,
            storage,
            counters,
            near,
            RequestedImages(
                rendition_rules(settings),
                lambda environ: viewers.find(environ).via,
                lambda environ: viewers.known(environ) is not None,
            ),
            viewers,
            serve_stale_seconds=settings.serve_stale,
        )
        self._relays = Relays(self.plane, router, near, settings.internal_token)
        self._publisher = Publisher(
            open_metric_sink(settings.metrics, http, settings.autoscaler_url, pool=settings.pool),
            counters,
            Origin(self.member_id, "web"),
            schedule=publish_schedule_of(settings.metrics),
        )

    @property
    def control_port(self) -> int | None:
        """The port that receives invalidations; None without a near cache."""
        return self._control.port if self._control else None

    @property
    def view(self) -> PoolView:
        """The pool as it was last seen."""
        return self._member.view

    @property
    def has_ended(self) -> bool:
        """Whether the polling thread is gone although nobody stopped it."""
        return self._member.has_ended

    def reads(self, may_answer: Callable[[Environ], bool]) -> WebFrontReads:
        """The data plane for the front. `may_answer`: whether the Host is allowed."""
        return WebFrontReads(self.plane, self._near, self._relays, self._counters, may_answer)

    def start(self) -> None:
        """Start receiving invalidations, polling and publishing metrics."""
        if self._control is not None:
            self._control.start()
        if self._relays.fills is not None:
            self._relays.fills.start()
        self._member.start(f"{self._host}:{self.control_port or 0}", life=self._lock)
        self._publisher.start()

    def leave(self) -> None:
        """Go on without the near cache. Returns once no writer waits for it any more, or at `stop`."""
        self._member.leave()

    def stop(self) -> None:
        """End the threads and close the connections."""
        self._member.stop()
        if self._control is not None:
            self._control.stop()
        if self._relays.fills is not None:
            self._relays.fills.stop()
        self._publisher.stop()
        self._client.close()
        self._patient_client.close()
        self._lock.close()


def _take_id(data: Path) -> tuple[str, LifeLock]:
    """A member id that no living process has, and the lock that reserves it.

    The part after the number tells machines apart, even with the same name, and data folders, even copied ones.
    """
    place = sha256(f"{_random_name(data)} {socket.gethostname()} {data.resolve()}".encode()).hexdigest()[:8]
    for number in range(_MOST_PROCESSES):
        try:
            return f"web-{number}-{place}", hold(data / "run" / "web" / f"{number}.lock")
        except Conflict:
            continue
    raise Unavailable(f"{_MOST_PROCESSES} web processes run on this data folder already.")


def _random_name(data: Path) -> str:
    """A random name, made once and kept in the data folder: several machines may be called `localhost`."""
    path = data / "run" / "web" / "name"
    path.parent.mkdir(parents=True, exist_ok=True)
    while not (found := path.read_text(encoding="ascii") if path.exists() else ""):
        name = secrets.token_hex(16)
        own = path.with_name(f"name-{name}")
        own.write_text(name, encoding="ascii")
        # Linked, so it appears whole or not at all: processes that start together must read the same name.
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
        own.unlink()
    return found
