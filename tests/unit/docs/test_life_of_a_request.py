"""docs/life-of-a-request.md is true: its functions exist, and a system in this process calls them in its order."""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testing.photographs import photographs
from testing.settings import make_settings
from testing.waiting import wait_for

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.autoscaler.service import AutoscalerService
from elastic_images.database.engine import open_engine
from elastic_images.database.tables import import_all
from elastic_images.http.internal_client import InternalClient
from elastic_images.memcache.service import MemcacheService
from elastic_images.pool.member import PoolMember
from elastic_images.process.server import serving
from elastic_images.settings import Settings
from elastic_images.storage.service import StorageService
from elastic_images.web.service import WebService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "life-of-a-request.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([a-z0-9_]+(?:\.[A-Za-z0-9_]+){2,})`", PAGE)
"""Every function that the page names."""


def steps(title: str) -> list[str]:
    """The functions of a section, in order."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\d+\. `([\w.]+)`:", section, re.MULTILINE)


def owner_of(name: str) -> tuple[Any, str]:
    """The module or class that has the function, and the function's name there."""
    path, _, function = name.rpartition(".")
    try:
        return importlib.import_module(f"elastic_images.{path}"), function
    except ModuleNotFoundError:
        module, _, class_ = path.rpartition(".")
        return getattr(importlib.import_module(f"elastic_images.{module}"), class_), function


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_the_functions_of_the_page_exist(name: str) -> None:
    owner, function = owner_of(name)
    assert callable(getattr(owner, function))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions of the page that were called so far, on any thread."""
    called: list[str] = []

    def recording(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return function(*args, **kwargs)

        return call

    for name in set(NAMED):
        owner, function = owner_of(name)
        original = vars(owner)[function]
        recorder = recording(name, original)
        places = [owner]
        if not isinstance(owner, type):  # a function that other modules have imported by its name
            places = [module for key, module in sys.modules.items() if key.startswith("elastic_images.")]
        for place in places:
            if vars(place).get(function) is original:
                monkeypatch.setattr(place, function, recorder)
    return called


def assert_in_order(called: list[str], title: str) -> None:
    wanted = steps(title)
    assert len(wanted) > 4, title
    rest = iter(called)
    for number, name in enumerate(wanted, 1):
        assert name in rest, f"{title}: step {number}, {name}, was not called after the step before it: {called}"


class NodesHere:
    """Launches nodes within this process (`NodeProvider`)."""

    proves_death = True
    start_seconds = silence_seconds = 60.0

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.nodes: dict[int, ExitStack] = {}

    def adopt(self) -> frozenset[int]:
        return frozenset()

    def launch(self, slot: int) -> None:
        assert self.settings is not None
        service = MemcacheService(self.settings, slot)
        self.nodes[slot] = node = ExitStack()
        bound = node.enter_context(serving(service.wsgi, reads=service.reads))
        service.start(bound)
        assert service._lock is not None
        node.callback(service._lock.close)  # a process keeps it for its whole life
        node.callback(service.stop)

    def take_failures(self) -> dict[int, str]:
        return {}

    def terminate(self, slot: int, drain_seconds: float) -> None:  # noqa: ARG002
        if slot in self.nodes:
            self.nodes.pop(slot).close()

    def alive(self) -> frozenset[int]:
        return frozenset(self.nodes)

    def close(self) -> None:
        pass

    def end(self) -> None:
        for slot in list(self.nodes):
            self.terminate(slot, 0)


class System:
    """Every app in this process."""

    def __init__(self, web: str, nodes: NodesHere, autoscaler: AutoscalerClient, stop_autoscaler: ExitStack) -> None:
        self.web = web
        self.nodes = nodes
        self.autoscaler = autoscaler
        self.stop_autoscaler = stop_autoscaler

    def put(self, key: str, body: bytes) -> int:
        """Upload an image, on a connection of its own. Gives the status."""
        with closing(InternalClient(None)) as http:
            return http.request("PUT", f"{self.web}/api/images/{key}", body=body, timeout_seconds=60).status

    def get(self, key: str) -> str:
        """Read an image, on a connection of its own. Gives its X-Cache."""
        with closing(InternalClient(None)) as http:
            return str(http.request("GET", f"{self.web}/images/{key}", timeout_seconds=60).headers["X-Cache"])

    def settled_on(self, nodes: int) -> bool:
        pool = self.autoscaler.pool()
        owners = {partition["owner"] for partition in (pool["map"] or {"partitions": []})["partitions"]}
        return pool["phase"] == "settled" and owners == set(range(nodes))


@contextmanager
def system_in_this_process(data: Path) -> Iterator[System]:
    holder: list[AutoscalerService] = []

    def autoscaler_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        if holder:
            return holder[0].wsgi(environ, start_response)
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return [b""]

    nodes = NodesHere()
    with ExitStack() as stack:
        autoscaler_url = f"http://{stack.enter_context(serving(autoscaler_wsgi)).address}"
        settings = make_settings(data, autoscaler_url=autoscaler_url, anonymous="write", nodes=1)
        engine = open_engine(settings.database)
        import_all().create_all(engine)
        engine.dispose()
        storage = StorageService(settings)
        bound = stack.enter_context(serving(storage.wsgi))
        storage.start(bound)
        stack.callback(storage.stop)
        settings = make_settings(
            data, autoscaler_url=autoscaler_url, storage_urls=(f"http://{bound.address}",), anonymous="write", nodes=1
        )
        nodes.settings = settings
        stack.callback(nodes.end)
        autoscaler = AutoscalerService(settings, nodes)
        holder.append(autoscaler)
        autoscaler.start(bound)
        stop_autoscaler = stack.enter_context(ExitStack())
        stop_autoscaler.callback(autoscaler.stop)
        http = InternalClient(settings.internal_token)
        stack.callback(http.close)
        web = WebService(settings)
        bound = stack.enter_context(serving(web.wsgi, reads=web.reads))
        web.start(bound)
        stack.callback(web.stop)
        yield System(f"http://{bound.address}", nodes, AutoscalerClient(http, autoscaler_url), stop_autoscaler)


def test_the_functions_are_called_in_the_order_of_the_page(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = photographs(2)
    with system_in_this_process(tmp_path) as system:
        wait_for(lambda: system.settled_on(1), "a pool of one node")
        assert system.put("k0", second.body) == 201
        wait_for(lambda: system.get("k0") == "HIT-NEAR", "web and node know the pool, and each other")

        calls.clear()
        assert system.put("k1", first.body) == 201
        assert_in_order(calls, "A write")

        for cache, title in (
            ("MISS", "A read that misses"),
            ("HIT", "A read that hits a node"),
            ("HIT-NEAR", "A read that hits the near cache"),
        ):
            calls.clear()
            assert system.get("k1") == cache
            assert_in_order(calls, title)
            if cache == "HIT":
                wait_for(lambda: "core.coherent_cache.CoherentCache.complete_fill" in calls, "the image comes near")

        calls.clear()
        assert system.get("k1?rendition=thumb") == "MISS"
        assert_in_order(calls, "A rendition that nobody has yet")

        calls.clear()
        system.autoscaler.update_config({"num_nodes": 2})
        wait_for(lambda: system.settled_on(2), "a pool of two nodes")
        assert_in_order(calls, "A resize")

        assert system.put("k2", second.body) == 201
        system.stop_autoscaler.close()
        with monkeypatch.context() as patched:
            # As if they were killed: nodes that leave are asked nothing more.
            patched.setattr(PoolMember, "_say_goodbye", lambda _member, _body: None)
            for slot in (0, 1):
                system.nodes.terminate(slot, 0)
        calls.clear()
        assert system.get("k2") == "BYPASS"
        assert_in_order(calls, "A read that bypasses the pool")
