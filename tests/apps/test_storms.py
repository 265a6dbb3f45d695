"""I7: however many readers, and whatever was lost, storage has a bounded number of reads under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from testing.waiting import wait_for
from tests.apps.node_support import TOKEN, Node, Storage, served_node
from tests.apps.plane_support import RULES

from elastic_images.accounts.principal import ANONYMOUS
from elastic_images.core.assignment import alternating
from elastic_images.core.pool_map import PoolMap, first_map
from elastic_images.http.answer import Answer
from elastic_images.http.lean_client import LeanClient
from elastic_images.memcache.node import FILL_PLACES
from elastic_images.metrics.counters import Counters
from elastic_images.pool.router import PoolRouter
from elastic_images.pool.view import PoolView
from elastic_images.web.reads.plane import BYPASS_PLACES, ImagePlane
from elastic_images.web.reads.requested_images import RequestedImages
from elastic_images.web.reads.viewers import Viewers

KEYS = [f"key-{number}" for number in range(240)]
READERS = 160
WAIT_SECONDS = 60.0
TWO_NODES = first_map(alternating(2))


def plane(storage: Storage, client: LeanClient, view: PoolView) -> ImagePlane:
    return ImagePlane(
        PoolRouter(lambda: view, lambda: view, client, client),
        storage,
        Counters(),
        None,
        RequestedImages(RULES, lambda _: "anonymous"),
        Viewers("read", lambda _: ANONYMOUS, lambda _: []),
    )


@contextmanager
def two_nodes(storage: Storage, folder: Path) -> Iterator[tuple[tuple[Node, Node], ImagePlane]]:
    """Two nodes that share all partitions, and a web's data plane that reads from them."""
    client = LeanClient(TOKEN)
    with served_node(storage, folder, slot=0) as one, served_node(storage, folder, slot=1) as other:
        members = (one.member, other.member)
        for node in (one, other):
            node.obey(PoolMap(TWO_NODES.epoch + 1, TWO_NODES.partitions), *members)
        yield (one, other), plane(storage, client, PoolView(TWO_NODES, members))
    client.close()


def read(web: ImagePlane, key: str) -> Answer:
    """As a client does that comes back on 503."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        answer = web.respond({"REQUEST_METHOD": "GET", "PATH_INFO": f"/images/{key}", "QUERY_STRING": ""})
        assert answer is not None
        if not answer.status.startswith("503") or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def storm(storage: Storage, webs: list[ImagePlane], crowd: Callable[[], bool]) -> set[str]:
    """Many readers at once, held in storage until there is a crowd; the statuses that they got."""
    storage.gate.clear()
    with ThreadPoolExecutor(READERS) as readers:
        answers = [readers.submit(read, webs[number % len(webs)], key) for number, key in enumerate(KEYS)]
        wait_for(crowd, "there is a crowd")
        # Those who found no place come back meanwhile.
        time.sleep(0.5)
        storage.gate.set()
        return {answer.result().status for answer in answers}


def test_a_cleared_cache_under_load_never_has_more_reads_under_way_than_its_places(tmp_path: Path) -> None:
    storage = Storage(*KEYS)
    with two_nodes(storage, tmp_path) as (nodes, web):
        webs = [web]
        with ThreadPoolExecutor(READERS) as readers:
            assert {answer.status for answer in readers.map(lambda key: read(webs[0], key), KEYS)} == {"200 OK"}
        storage.most_inside = 0
        for node in nodes:
            assert node.cache.clear(node.cache.incarnation) > 0
        assert storm(storage, webs, lambda: storage.inside >= 2 * FILL_PLACES) == {"200 OK"}
        assert 2 * FILL_PLACES <= storage.most_inside <= 2 * FILL_PLACES + BYPASS_PLACES


def test_a_lost_pool_under_load_never_has_more_reads_under_way_than_its_places() -> None:
    storage = Storage(*KEYS)
    client = LeanClient(TOKEN)
    webs = [plane(storage, client, PoolView(TWO_NODES)) for _ in range(2)]
    assert storm(storage, webs, lambda: storage.inside >= 2 * BYPASS_PLACES) == {"200 OK"}
    assert storage.most_inside == 2 * BYPASS_PLACES
    client.close()


def test_hits_go_on_while_every_place_is_taken(tmp_path: Path) -> None:
    storage = Storage(*KEYS)
    with two_nodes(storage, tmp_path) as (_nodes, web):
        assert read(web, KEYS[0]).status == "200 OK"
        storage.gate.clear()
        held = [threading.Thread(target=read, args=(web, key)) for key in KEYS[1:80]]
        for thread in held:
            thread.start()
        wait_for(lambda: storage.inside >= 2 * FILL_PLACES, "every place is taken")
        # Longer than it takes for the nodes to count as silent.
        time.sleep(0.4)
        hit = dict(read(web, KEYS[0]).headers).get("X-Cache")
        storage.gate.set()
        assert hit == "HIT"
        for thread in held:
            thread.join()
