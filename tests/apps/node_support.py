"""Cache nodes on free ports, with a storage that the test holds."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry
from testing.imaging import PretendImaging
from testing.settings import make_settings

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import NotFound, Unavailable
from elastic_images.core.image_facts import Actor, quoted
from elastic_images.core.pool_map import PoolMap, first_map
from elastic_images.core.visibility import Visibility, may_see
from elastic_images.http.entries import fact_headers
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.readiness import Readiness, ReadyGate
from elastic_images.memcache.app import NodeServices, create_app
from elastic_images.memcache.fill_sources import PeerThenStorage
from elastic_images.memcache.front_reads import NodeFrontReads
from elastic_images.memcache.node import FILL_PLACES, CacheNode
from elastic_images.memcache.plane import NodePlane
from elastic_images.memcache.readiness import NodeReadiness
from elastic_images.memcache.renditions import RenditionMaker
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.rendition_figures import RenditionFigures
from elastic_images.pool.view import Member, PoolView, node_id
from elastic_images.process.server import serving

TOKEN = "test-internal-token"
LEASE_SECONDS = 3.0
UPDATED_AT = 1_000_000_000.0
WAIT_SECONDS = 60.0


def entry(
    key: str,
    version: int = 1,
    body: bytes | None = None,
    visibility: Visibility = "public",
    owner_id: int | None = None,
) -> Entry:
    """As storage gives it to a node."""
    body = f"{key} version {version}".encode() if body is None else body
    return Entry(
        key,
        body,
        content_type="image/png",
        etag=quoted(hashlib.sha256(body).hexdigest()),
        version=version,
        updated_at=UPDATED_AT + version,
        visibility=visibility,
        owner_id=owner_id,
        extra_headers=fact_headers(version, UPDATED_AT + version, visibility, owner_id),
    )


class Storage:
    """Keeps entries; counts who asks; may be down, or hold everyone who asks until the test says so."""

    def __init__(self, *keys: str) -> None:
        self.entries = {key: entry(key) for key in keys}
        self.down = False
        self.asked: list[str] = []
        self.inside = self.most_inside = 0
        self.gate = threading.Event()
        self.gate.set()
        self._changed = threading.Condition()

    def get_entry(self, name: str, *, actor: Actor | None = None) -> Entry:
        with self._changed:
            self.asked.append(name)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self._changed.notify_all()
        try:
            self.gate.wait(WAIT_SECONDS)
            if self.down:
                raise Unavailable("storage is down")
            return self._found(name, actor)
        finally:
            with self._changed:
                self.inside -= 1

    def metadata(self, key: str, *, actor: Actor | None = None) -> object:
        """Not counted."""
        if self.down:
            raise Unavailable("storage is down")
        return self._found(key, actor)

    def _found(self, key: str, actor: Actor | None) -> Entry:
        found = self.entries.get(key)
        if found is None or (actor is not None and not may_see(actor, found.visibility, found.owner_id)):
            raise NotFound(f"There is no image {key!r}.")
        return found

    def wait_until_asked(self, times: int) -> None:
        """Return when so many calls have come since the start."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= times, WAIT_SECONDS)


@dataclass
class Node:
    """A node that is served, and what a test needs of it. Its clock stands still."""

    slot: int
    cache: CoherentCache
    node: CacheNode
    counters: Counters
    imaging: PretendImaging
    address: str = ""
    now: list[float] = field(default_factory=lambda: [0.0])
    view: PoolView = field(default_factory=PoolView)

    @property
    def member(self) -> Member:
        return Member(self.cache.incarnation, node_id(self.slot), "node", "", self.address)

    def obey(self, pool_map: PoolMap, *members: Member) -> None:
        """Take a map, with a lease, as after a poll."""
        self.cache.take_map(pool_map)
        self.cache.renew_lease(self.now[0] + LEASE_SECONDS)
        self.view = PoolView(pool_map, members or (self.member,))

    def lapse(self) -> None:
        self.now[0] += LEASE_SECONDS

    def figures(self) -> tuple[float, float]:
        """Hits and misses."""
        read = self.counters.read()
        return read["hits"], read["misses"]


@contextmanager
def served_node(
    storage: Storage,
    folder: Path,
    *,
    slot: int = 0,
    capacity_bytes: int = 10_000_000,
    places: int = FILL_PLACES,
    serve_stale: float = 0.0,
) -> Iterator[Node]:
    """A node that owns everything, with a lease."""
    now = [0.0]
    cache = CoherentCache(ByteCache(capacity_bytes), lambda: now[0], slot=slot)
    cache.start_incarnation(f"{slot}" * 32)
    counters = Counters()
    counters.follow(cache.statistics)
    http = InternalClient(TOKEN)
    made: list[Node] = []
    # Only what a test holds back is slow, never the machine.
    source = PeerThenStorage(slot, lambda: made[0].view, http, storage, peer_seconds=WAIT_SECONDS)
    imaging = PretendImaging()
    core = CacheNode(
        cache,
        source,
        RenditionMaker(cache, source, imaging, RenditionFigures(counters)),
        counters,
        places=places,
        fill_seconds=WAIT_SECONDS,
    )
    node = Node(slot, cache, core, counters, imaging, now=now)
    made.append(node)
    plane = NodePlane(core, TOKEN, serve_stale_seconds=serve_stale)
    readiness = NodeReadiness(cache, Readiness)
    services = NodeServices(core, plane, dict, counters.read, CollectorRegistry(), 0.0, ReadyGate(readiness.look))
    settings = make_settings(folder, internal_token=TOKEN, serve_stale=serve_stale)
    app = create_app(services, settings, slot)
    with serving(app.wsgi_app, reads=NodeFrontReads(plane, core), threads=64) as bound:
        node.address = bound.address
        node.obey(PoolMap(1, first_map(tuple(slot for _ in alternating(1))).partitions))
        yield node
    http.close()
