"""A whole system for a test, started by the command that users type, with its own ports and data folder.

Every process of a system has a mark in its environment, which identifies it even if its parents are gone. A system is
always stopped, and a process that is left after that fails the test.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import psutil

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import ElasticImagesError
from elastic_images.http.internal_client import InternalClient
from elastic_images.process.ports import check_free, ports_of
from testing.client import Client
from testing.waiting import wait_for

COMMAND = Path(sys.executable).with_name("elastic-images")
MARK = "TEST_SYSTEM_MARK"
START_SECONDS = 120.0
STOP_SECONDS = 60.0


@contextlib.contextmanager
def free_offset() -> Iterator[int]:
    """A port offset that no other test on this machine holds; its ports were free a moment ago."""
    folder = Path(tempfile.gettempdir()) / f"elastic-images-test-offsets-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    offsets = list(range(100, 991, 10))
    random.shuffle(offsets)
    for offset in offsets:
        with (folder / str(offset)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                check_free("127.0.0.1", ports_of(offset))
            except (BlockingIOError, ElasticImagesError):
                continue
            yield offset
            return
    raise AssertionError("no port offset is free")


def environment(settings: dict[str, object], mark: str = "") -> dict[str, str]:
    """A clean environment with these settings, by their names in lower case."""
    # AWS_...: set only by tests, for their own servers (tests/conftest.py).
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "TMPDIR", "LANG") or name.startswith("AWS_")
    }
    mine = {f"ELASTIC_IMAGES_{name.upper()}": str(value) for name, value in settings.items()}
    return {**kept, **mine, MARK: mark, "PYTHONWARNINGS": "default"}


@dataclass(slots=True)
class System:
    """A system that runs, or ran. Not thread-safe, but its clients are."""

    data: Path
    offset: int
    settings: dict[str, object] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None
    _clients: list[Client] = field(default_factory=list)
    _internal: list[InternalClient] = field(default_factory=list)

    # ---- Life ----

    def start(self) -> None:
        """Start it and wait until every app is ready and the pool is settled."""
        self.launch()
        started = time.monotonic()
        try:
            wait_for(self._is_ready, "the system is ready", seconds=START_SECONDS)
            self.wait_settled(seconds=START_SECONDS - (time.monotonic() - started))
        except BaseException:
            self.end()
            raise

    def launch(self) -> None:
        """Start the supervisor without waiting for it."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self._log is not None:
            self._log.close()
        self._log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            [str(COMMAND), "up"],
            env=environment({**self.settings, "data": self.data, "port_offset": self.offset}, self.mark),
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the supervisor; its exit code. Fails if a process is left."""
        process = self._running()
        process.send_signal(number)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the system did not stop in {STOP_SECONDS:g} s\n{self.log_tail()}") from None
        left = self.processes()
        assert not left, f"left behind: {[shown(one) for one in left]}\n{self.log_tail()}"
        return code

    def end(self) -> None:
        """Stop it in whatever state it is, and close everything. Fails if a process had to be killed."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            else:
                self.wait_gone()
        finally:
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if self.process is not None:
                self.process.wait(STOP_SECONDS)
            self._close()

    def _close(self) -> None:
        for client in self._clients:
            client.close()
        for http in self._internal:
            http.close()
        self._clients.clear()
        self._internal.clear()
        if self._log is not None:
            self._log.close()
            self._log = None

    def wait_gone(self, *, seconds: float = STOP_SECONDS) -> None:
        """Return when none of its processes is left."""
        wait_for(lambda: not self.processes(), "no process is left", seconds=seconds)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "the system was not started"
        return self.process

    def _is_ready(self) -> bool:
        if self._running().poll() is not None:
            raise StartFailed(f"`up` ended with {self._running().returncode}:\n{self.log_tail()}")
        return self.client().readyz() == 200 and self.client(app="manager").readyz() == 200

    # ---- Its output ----

    @property
    def log_path(self) -> Path:
        """The file with everything the system printed."""
        return self.data.with_suffix(".log")

    def log_tail(self, lines: int = 60) -> str:
        """The last lines it printed."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    # ---- Talking to it ----

    def url(self, app: str = "web") -> str:
        """The address of an app."""
        return f"http://127.0.0.1:{self.port(app)}"

    def port(self, app: str = "web") -> int:
        """The port of an app; of `memcache` that of slot 0."""
        base = {"web": 5000, "storage": 5001, "autoscaler": 5002, "manager": 5003, "memcache": 4000}
        return base[app] + self.offset

    def client(self, token: str | None = None, *, app: str = "web") -> Client:
        """A client of web or the manager, without a token unless one is given. Thread-safe."""
        for client in self._clients:
            if (client.token, client.url) == (token, self.url(app)):
                return client
        self._clients.append(Client(self.url(app), token))
        return self._clients[-1]

    def admin(self) -> Client:
        """A client with the command line's token, which may do everything."""
        return self.client((self.data / "cli-token").read_text().strip())

    def add_user(self, name: str) -> Client:
        """A client of a user of this name, who is made."""
        manager = self.client(self.admin().token, app="manager")
        made = manager.request("POST", "/api/users", body=json.dumps({"name": name}).encode())
        assert made.status == 201, made.body
        wish = {"user": name, "label": "test", "scopes": ["write"]}
        token = manager.request("POST", "/api/tokens", body=json.dumps(wish).encode())
        return self.client(token.json["secret"])

    def autoscaler(self) -> AutoscalerClient:
        """A client of the autoscaler's internal calls."""
        if not self._internal:
            self._internal.append(InternalClient((self.data / "internal-token").read_text().strip()))
        return AutoscalerClient(self._internal[0], self.url("autoscaler"))

    def pool(self) -> dict[str, Any]:
        """The autoscaler's view of the pool."""
        return cast("dict[str, Any]", self.autoscaler().pool())

    def owners(self) -> tuple[int, ...]:
        """Each partition's owner, by the pool map."""
        return tuple(partition["owner"] for partition in self.pool()["map"]["partitions"])

    def is_settled_on(self, nodes: int) -> bool:
        """Whether no resize is under way and the first `nodes` slots own everything."""
        pool = self.pool()
        owners = {partition["owner"] for partition in pool["map"]["partitions"]}
        return bool(pool["phase"] == "settled" and owners == set(range(nodes)))

    def wait_settled(self, nodes: int | None = None, *, seconds: float = 120.0) -> dict[str, Any]:
        """The pool, once no resize is under way and it has `nodes` nodes, all of them live owners."""

        def settled() -> dict[str, Any] | None:
            pool = self.pool()
            wanted = set(range(nodes if nodes is not None else pool["wanted"]))
            if pool["phase"] != "settled" or pool["busy"]:
                return None
            owners = {partition["owner"] for partition in pool["map"]["partitions"]}
            live = {node["slot"] for node in pool["nodes"] if node["state"] == "live"}
            return pool if owners == wanted and live == wanted and len(pool["nodes"]) == len(wanted) else None

        return wait_for(settled, f"the pool is settled ({nodes or 'any'} nodes)", seconds=seconds, every=0.1)

    def scale(self, nodes: int, *, seconds: float = 120.0) -> dict[str, Any]:
        """Resize the pool manually and wait for it."""
        self.autoscaler().update_config({"mode": "manual", "num_nodes": nodes})
        return self.wait_settled(nodes, seconds=seconds)

    def cli(self, *words: str, check: bool = True, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run `elastic-images WORDS` as a person on this machine would."""
        known = {"data": self.data, "port_offset": self.offset, **settings}
        done = subprocess.run(
            [str(COMMAND), *words], env=environment(known), capture_output=True, text=True, timeout=180, check=False
        )
        assert not check or done.returncode == 0, f"elastic-images {words}: {done.returncode}\n{done.stderr}"
        return done

    def cli_json(self, *words: str) -> Any:
        """What a command prints with `--json`."""
        return json.loads(self.cli(*words, "--json").stdout)

    # ---- Its processes ----

    def processes(self) -> list[psutil.Process]:
        """All its living processes, including the supervisor."""
        return marked(self.mark)

    def find(self, app: str) -> list[psutil.Process]:
        """The processes of an app, oldest first."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if "serve" in words and app in words:
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def node(self, slot: int) -> psutil.Process:
        """The process that listens on the port of a slot's node. Raises LookupError."""
        port = self.port("memcache") + slot
        for process in self.find("memcache"):
            if any(place.laddr.port == port for place in process.net_connections("tcp") if place.status == "LISTEN"):
                return process
        raise LookupError(f"no process listens on port {port}")

    def kill(self, process: psutil.Process) -> None:
        """`kill -9`, then wait until it is gone."""
        process.kill()
        wait_for(lambda: not is_alive(process), f"{process.pid} is gone")


class StartFailed(Exception):
    """The supervisor ended before the system was ready; the message contains its output."""


def marked(mark: str) -> list[psutil.Process]:
    """Every living process with that mark in its environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; zombies do not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def shown(process: psutil.Process) -> str:
    """A process in a readable form."""
    try:
        return f"{process.pid}: {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return f"{process.pid}: gone"


@contextlib.contextmanager
def running(folder: Path, **settings: object) -> Iterator[System]:
    """A ready system with its data in `folder`, stopped at the end of the block.

    Tries another port offset if another process takes one of the ports first.
    """
    for attempt in range(3):
        with free_offset() as offset:
            system = System(folder / "data", offset, dict(settings))
            try:
                system.start()
            except StartFailed as error:
                if attempt == 2 or "is taken" not in str(error):
                    raise
                continue
            try:
                yield system
            finally:
                system.end()
            return
