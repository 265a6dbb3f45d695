"""A whole system of this project, to be measured: started by the command that people type."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from testing.system import System, running
from testing.waiting import wait_for

from benchmarks.lib.options import Options
from benchmarks.lib.processes import app_name, pss_bytes
from benchmarks.lib.targets import NODE, WEB, Target
from elastic_images.accounts.accounts import open_accounts
from elastic_images.accounts.guard import Guard
from elastic_images.core.partitions import partition_of
from elastic_images.http.internal_client import InternalClient
from elastic_images.settings import Settings

_SEED_THREADS = 12
_PRIME_SECONDS = 300.0
_LONGEST_WALK_SECONDS = 30
_SCALE_SECONDS = 400.0
"""Longer than a resize may copy images."""
_MISSING_MB = 1


class Callers(NamedTuple):
    """By what web knows somebody."""

    session: str
    """For `Cookie`."""
    tokens: list[str]
    """For `Authorization`."""
    link_id: str
    link_secret: str
    """A signing key's."""


class MeasuredSystem:
    """The system, and what a benchmark does with it. Not safe to share between threads."""

    def __init__(self, system: System, options: Options) -> None:
        self._system = system
        self._options = options
        self._token = (system.data / "internal-token").read_text().strip()
        self._http = InternalClient(self._token)
        self._seeded = 0
        self.nodes = options.nodes[0]

    # ---- Targets ----

    def web(self) -> Target:
        """Reads through web."""
        return Target(WEB, self._system.port("web"), self._system.processes)

    def node(self) -> Target:
        """Reads straight at the node in slot 0."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return Target(NODE, self._system.port("memcache"), self._system.processes, headers)

    def upload_headers(self) -> dict[str, str]:
        """What an upload carries: the command line's token."""
        token = (self._system.data / "cli-token").read_text().strip()
        return {"Authorization": f"Bearer {token}", "Content-Type": "image/jpeg"}

    def owned_by_first_node(self, keys: Sequence[str]) -> list[str]:
        """Those of the keys that the node in slot 0 owns."""
        partitions = self._system.pool()["map"]["partitions"]
        return [key for key in keys if partitions[partition_of(key)]["owner"] == 0]

    # ---- Images ----

    def seed(self, keys: Sequence[str], bodies: Sequence[bytes]) -> float:
        """Upload an image for each key, in turn of the bodies; how many a second."""
        client = self._system.admin()

        def put(number: int) -> None:
            answer = client.put(keys[number], bodies[number % len(bodies)])
            if answer.status != 201:
                raise OSError(f"uploading {keys[number]}: {answer.status} {answer.body[:300]!r}")

        began = time.monotonic()
        with ThreadPoolExecutor(_SEED_THREADS) as pool:
            for _ in pool.map(put, range(len(keys))):
                pass
        self._seeded += len(keys)
        return len(keys) / (time.monotonic() - began)

    def prime(self, read_all: Callable[[int], object]) -> None:
        """Have the nodes hold every image that was seeded.

        `read_all` asks web for one after another, for so many seconds. It begins with the first one each time, and
        needs longer where the machine is slow: a second, then twice as long, and so on.
        """
        lengths = itertools.chain((1, 2, 4, 8, 16), itertools.repeat(_LONGEST_WALK_SECONDS))

        def complete() -> bool:
            if self._total("items") >= self._seeded:
                return True
            read_all(next(lengths))
            return False

        wait_for(complete, f"the nodes hold {self._seeded} images", seconds=_PRIME_SECONDS)

    # ---- Who may see them ----

    def upload(self, key: str, body: bytes, visibility: str) -> str:
        """Upload an image that the administrator owns; gives its key."""
        answer = self._system.admin().put(key, body, {"X-Visibility": visibility})
        if answer.status not in (200, 201):
            raise OSError(f"uploading {key}: {answer.status} {answer.body[:300]!r}")
        return key

    def callers(self, count: int) -> Callers:
        """A session of the administrator, so many tokens of theirs, and a signing key."""
        settings = Settings.load({}, {"ELASTIC_IMAGES_DATA": str(self._system.data)})
        settings = replace(settings, secret_key=(self._system.data / "secret-key").read_text().strip())
        accounts = open_accounts(settings)
        try:
            started = accounts.sessions.start(accounts.users.get("admin").id)
            tokens = [accounts.tokens.create("admin", f"{number}", ["admin"])[1] for number in range(count)]
            key, secret = accounts.signing_keys.create("admin", "benchmark")
            cookie = f"{Guard(accounts, settings).cookie_name}={started.secret}"
        finally:
            accounts.close()
        return Callers(cookie, [f"Bearer {token}" for token in tokens], key.kid, secret)

    # ---- Caches ----

    @contextlib.contextmanager
    def missing(self) -> Iterator[None]:
        """While the block runs, the nodes hold next to nothing: who walks through a working set misses each time."""
        self._resize_caches(_MISSING_MB)
        self._system.autoscaler().clear()
        try:
            yield
        finally:
            self._resize_caches(self._options.cache_mb)

    def _resize_caches(self, megabytes: int) -> None:
        self._system.autoscaler().update_config({"cache_mb": megabytes})
        wanted = self.nodes * megabytes * 1_000_000
        wait_for(lambda: self._total("capacity_bytes") == wanted, f"the nodes' caches have {megabytes} MB each")

    def scale(self, nodes: int) -> None:
        """Resize the pool and wait for it."""
        if nodes != self.nodes:
            self._system.scale(nodes, seconds=_SCALE_SECONDS)
            self.nodes = nodes

    # ---- Figures ----

    def pss_mb(self) -> dict[str, float]:
        """What each process weighs, in megabytes, and `total`."""
        weights = {app_name(process.cmdline()): pss_bytes([process]) / 1e6 for process in self._system.processes()}
        return {
            **{name: round(weight, 1) for name, weight in sorted(weights.items())},
            "total": round(sum(weights.values()), 1),
        }

    def cached_bytes(self) -> int:
        """Bytes that the nodes count as used."""
        return self._total("bytes")

    def _total(self, figure: str) -> int:
        first = self._system.port("memcache")
        answers: list[Any] = [
            self._http.get_json(f"http://127.0.0.1:{first + slot}/stats") for slot in range(self.nodes)
        ]
        return sum(int(answer[figure]) for answer in answers)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@contextlib.contextmanager
def whole_system(folder: Path, options: Options) -> Iterator[MeasuredSystem]:
    """A system that is ready, with defaults but for the sizes of its caches; stopped at the end of the block."""
    folder.mkdir(parents=True)
    settings = {"nodes": options.nodes[0], "near_cache_mb": options.near_cache_mb, "cache_mb": options.cache_mb}
    with running(folder, **settings) as system:
        system.autoscaler().update_config({"mode": "manual"})
        measured = MeasuredSystem(system, options)
        try:
            yield measured
        finally:
            measured.close()
