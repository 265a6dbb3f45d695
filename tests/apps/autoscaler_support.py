"""An autoscaler that is served from the test's process, on a database of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testing.settings import make_settings
from testing.waiting import wait_for

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.autoscaler.nodes.local import LocalNodeProvider
from elastic_images.autoscaler.nodes.opening import open_node_provider
from elastic_images.autoscaler.nodes.provider import NodeProvider
from elastic_images.autoscaler.service import AutoscalerService
from elastic_images.database.engine import open_engine
from elastic_images.database.tables import import_all
from elastic_images.http.internal_client import InternalClient
from elastic_images.process.server import Bound, serving
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Autoscaler:
    """An autoscaler at an address that stays when it is restarted."""

    def __init__(self, settings: Settings, bound: Bound) -> None:
        self.settings = settings
        self.bound = bound
        self.http = InternalClient(settings.internal_token)
        self.client = AutoscalerClient(self.http, f"http://{bound.address}")
        self.service: AutoscalerService | None = None
        self._provider: NodeProvider | None = None
        self._children: list[int] = []

    def start(self, provider: NodeProvider | None = None) -> None:
        self._provider = provider or open_node_provider(self.settings)
        self.service = AutoscalerService(self.settings, self._provider)
        self.service.start(self.bound)

    def stop(self) -> None:
        """As a kill would: its nodes live on."""
        if self.service is not None:
            service, self.service = self.service, None
            if isinstance(self._provider, LocalNodeProvider):
                self._children += [child.pid for child in self._provider._children.values()]
            service.stop()

    def reap(self) -> None:
        """Wait for the nodes that lived on: an autoscaler that was killed would not be their parent any more."""
        for child in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)

    def settled_on(self, *slots: int) -> bool:
        pool = self.client.pool()
        owners = {partition["owner"] for partition in (pool["map"] or {"partitions": []})["partitions"]}
        live = {node["slot"] for node in pool["nodes"] if node["state"] == "live"}
        return bool(pool["phase"] == "settled" and owners == live == set(slots) == {n["slot"] for n in pool["nodes"]})

    def wait_settled_on(self, *slots: int) -> None:
        wait_for(lambda: self.settled_on(*slots), f"settled on {slots}: {self.client.pool()}")


@contextlib.contextmanager
def autoscaler(data: Path, **settings: Any) -> Iterator[Autoscaler]:
    """One that is not started; at the end it is stopped, and its nodes end with their lifeline."""
    reading, writing = os.pipe()
    holder: list[Autoscaler] = []

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        service = holder[0].service if holder else None
        if service is None:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        return service.wsgi(environ, start_response)

    with serving(wsgi) as bound:
        url = f"http://{bound.address}"
        made = make_settings(
            data, **{"autoscaler_url": url, "storage_urls": (url,), "lifeline_fd": reading, **settings}
        )
        engine = open_engine(made.database)
        import_all().create_all(engine)
        engine.dispose()
        holder.append(Autoscaler(made, bound))
        try:
            yield holder[0]
        finally:
            holder[0].stop()
            os.close(writing)
            holder[0].reap()
            holder[0].http.close()
            os.close(reading)
