"""A system on several hosts: every app alone by `elastic-images serve APP`, its settings in the environment.

There is no supervisor, as where systemd starts each app on its own host. The database (MariaDB or PostgreSQL) and S3
(SeaweedFS) are real servers on a host of their own, as RDS and S3 would be.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.http.internal_client import InternalClient
from elastic_images.supervisor.lifeline_pair import Lifeline
from testing.database_servers import DatabaseServer
from testing.hosts.autoscaler import HOSTS_VARIABLE
from testing.hosts.network import Network, network
from testing.object_servers import seaweedfs
from testing.system import COMMAND, environment, marked, shown
from testing.waiting import wait_for

WEBS = ("web1", "web2")
STORAGES = ("storage1", "storage2")
NODES = ("node1", "node2", "node3")
HOSTS = (*WEBS, *STORAGES, *NODES, "autoscaler", "data", "people")
TOKEN = uuid.UUID(int=5).hex
START_SECONDS = 120.0

Database = Callable[[str], AbstractContextManager[DatabaseServer]]


@dataclass(slots=True)
class SeveralHosts:
    """A system that runs. Calls to it are made on the host `people`; one thread starts and stops its processes."""

    network: Network
    folder: Path
    settings: dict[str, object]
    """The settings that all hosts share."""
    lifeline: Lifeline
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    running: dict[tuple[str, str], subprocess.Popen[bytes]] = field(default_factory=dict)

    def serve(self, app: str, host: str) -> None:
        """Start an app on a host, as its systemd unit would."""
        command = [str(COMMAND), "serve", app]
        if app == "autoscaler":
            command = [sys.executable, "-m", "testing.hosts.autoscaler"]
        with (self.folder / f"{host}.log").open("ab") as log, self.network.inside(host):
            self.running[app, host] = subprocess.Popen(
                command,
                env=self._environment(host),
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self.lifeline.descriptor],
                start_new_session=True,
            )

    def kill(self, app: str, host: str) -> None:
        """`kill -9`, as when a process crashes; `serve` starts it again, as systemd does."""
        process = self.running.pop((app, host))
        process.kill()
        process.wait()

    def kill_node(self, slot: int) -> None:
        """`kill -9` of a slot's node."""
        for process in marked(self.mark):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[-3:] == ["memcache", "--slot", str(slot)]:
                    process.kill()
                    process.wait(60)

    def prepare(self) -> str:
        """Make the database ready; an administrator's token."""
        with self.network.inside("storage1"):
            subprocess.run(
                [str(COMMAND), "prepare"], env=self._environment("storage1"), stdout=subprocess.DEVNULL, check=True
            )
        return (self.folder / "storage1" / "cli-token").read_text().strip()

    def pool(self) -> dict[str, Any]:
        """The autoscaler's view of the pool."""
        with self.network.inside("people"), contextlib.closing(InternalClient(TOKEN)) as http:
            client = AutoscalerClient(http, self._url("autoscaler", "autoscaler"), timeout_seconds=2.0)
            return cast("dict[str, Any]", client.pool())

    def resize(self, nodes: int) -> bool:
        """Set the wanted size of the pool. Returns True."""
        with self.network.inside("people"), contextlib.closing(InternalClient(TOKEN)) as http:
            client = AutoscalerClient(http, self._url("autoscaler", "autoscaler"), timeout_seconds=2.0)
            client.update_config({"mode": "manual", "num_nodes": nodes})
            return True

    def wait_settled(self, nodes: int, *, seconds: float = START_SECONDS) -> None:
        """Return when the pool is settled on that many nodes."""

        def settled() -> bool:
            pool = self.pool()
            owners = {partition["owner"] for partition in pool["map"]["partitions"]} if pool["map"] else set()
            return pool["phase"] == "settled" and not pool["busy"] and owners == set(range(nodes))

        wait_for(settled, f"the pool is settled on {nodes} nodes", seconds=seconds)

    def wait_ready(self, app: str, host: str) -> None:
        """Return when an app answers `/readyz` with 200."""
        with self.network.inside("people"), contextlib.closing(InternalClient(TOKEN)) as http:
            url = f"{self._url(app, host)}/readyz"
            wait_for(lambda: http.request("GET", url).status == 200, f"{app} on {host} is ready", seconds=START_SECONDS)

    def log(self, host: str) -> str:
        """The log of a host's processes; the nodes' logs are in the autoscaler's."""
        return (self.folder / f"{host}.log").read_text(errors="replace")

    def end(self) -> None:
        """Stop everything. Fails if a process had to be killed."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        self.lifeline.cut()
        try:
            for process in self.running.values():
                process.wait(60)
            wait_for(lambda: not marked(self.mark), "no process is left")
        finally:
            left = marked(self.mark)
            for one in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            for process in self.running.values():
                process.kill()
                process.wait()
            assert not left, f"left behind: {[shown(one) for one in left]}"

    def _url(self, app: str, host: str) -> str:
        ports = {"web": 5000, "storage": 5001, "autoscaler": 5002}
        return f"http://{self.network.address(host)}:{ports[app]}"

    def _environment(self, host: str) -> dict[str, str]:
        address = self.network.address(host)
        # Each host starts with another storage.
        storages = STORAGES if host not in ("web2", "storage2") else STORAGES[::-1]
        nodes = [f"{self.network.namespace(node)}={self.network.address(node)}" for node in NODES]
        mine = {
            **self.settings,
            "data": self.folder / host,
            "host": address,
            "internal_host": address,
            "advertise": address,
            "storage_urls": ",".join(self._url("storage", one) for one in storages),
            "autoscaler_url": self._url("autoscaler", "autoscaler"),
            "lifeline_fd": self.lifeline.descriptor,
        }
        return {**environment(mine, self.mark), HOSTS_VARIABLE: ",".join(nodes)}


@contextlib.contextmanager
def several_hosts(folder: Path, database: Database, **settings: object) -> Iterator[tuple[SeveralHosts, str]]:
    """A ready system with three nodes, and an administrator's token. Data and logs are in `folder`."""
    with ExitStack() as stack:
        net = stack.enter_context(network(HOSTS))
        with net.inside("data"):
            s3 = stack.enter_context(seaweedfs(net.address("data")))
            server = stack.enter_context(database(net.address("data")))
            url = stack.enter_context(server.fresh_url())
            bucket = s3.fresh_bucket()
        common = {
            "object_store": f"s3://{bucket}/images",
            "database": url,
            "internal_token": TOKEN,
            "secret_key": TOKEN,
            "nodes": len(NODES),
            **settings,
        }
        system = SeveralHosts(net, folder, common, stack.enter_context(Lifeline()))
        with _variables(s3.environment()):
            stack.callback(system.end)
            token = system.prepare()
            for app, hosts in (("storage", STORAGES), ("autoscaler", ("autoscaler",)), ("web", WEBS)):
                for host in hosts:
                    system.serve(app, host)
            for host in WEBS:
                system.wait_ready("web", host)
            system.wait_settled(len(NODES))
            yield system, token


@contextlib.contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Set these in this process's environment during the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
