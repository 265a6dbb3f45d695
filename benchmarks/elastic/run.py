"""One run: a system, its images, readers, and one resize after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from testing.system import System, running
from testing.waiting import wait_for

from benchmarks.elastic.images import Catalog, make_catalog, renditions_of
from benchmarks.elastic.load import Readers
from benchmarks.elastic.options import Options
from benchmarks.elastic.records import Resize, Run, Survival
from benchmarks.elastic.survival import survive

Say = Callable[[str], None]
_SEED_THREADS = 8
_SETTLE_SECONDS = 300.0
_FRESH_SECONDS = 1.2
MEGABYTE = 1_000_000


def measure(options: Options, say: Say) -> dict[str, Run]:
    """The runs by name: `warm`, and `cold` with the warm step switched off. One system after the other."""
    catalog = make_catalog(options.images, options.seed)
    if options.renditions:
        catalog = renditions_of(catalog)
    settings = {} if options.warm_bytes_per_second is None else {"warm_bytes_per_second": options.warm_bytes_per_second}
    runs = {"warm": _measure(options, catalog, settings, say)}
    if options.compare_without_warming:
        say("the same with the warm step switched off")
        runs["cold"] = _measure(options, catalog, {"warm_bytes_per_second": 0}, say)
    return runs


def _measure(options: Options, catalog: Catalog, settings: dict[str, Any], say: Say) -> Run:
    cache_mb = max(1, round(options.node_share * catalog.total_bytes / MEGABYTE))
    known = {"nodes": options.sizes[0], "cache_mb": cache_mb, "near_cache_mb": 0, **settings}
    with (
        tempfile.TemporaryDirectory(prefix="elastic-images-bench-", dir=options.folder) as name,
        running(Path(name), **known) as system,
    ):
        say(f"{options.images} images, {catalog.total_bytes / MEGABYTE:.0f} MB; a node holds {cache_mb} MB")
        system.autoscaler().update_config({"assignment": options.assignment})
        _seed(system, catalog, say)
        return _Measurement(system, catalog, cache_mb * MEGABYTE, options, say).carry_out()


def _seed(system: System, catalog: Catalog, say: Say) -> None:
    client = system.admin()

    def put(number: int) -> None:
        answer = client.put(catalog.keys[number], catalog.body(number))
        if answer.status != 201:
            raise OSError(f"uploading {catalog.keys[number]}: {answer.status} {answer.body[:300]!r}")

    began = time.monotonic()
    with ThreadPoolExecutor(_SEED_THREADS) as pool:
        for _ in pool.map(put, range(len(catalog.keys))):
            pass
    say(f"uploaded in {time.monotonic() - began:.0f} s")


class _Measurement:
    def __init__(self, system: System, catalog: Catalog, capacity_bytes: int, options: Options, say: Say) -> None:
        self._system = system
        self._catalog = catalog
        self._capacity_bytes = capacity_bytes
        self._options = options
        self._say = say
        self._readers = Readers(system.port("web"), catalog, options.seed)
        # The journal's times count from the epoch, everything here uses the monotonic clock.
        self._epoch_offset = time.monotonic() - time.time()

    def carry_out(self) -> Run:
        first = self._system.owners()
        resizes = []
        for before, after in zip(self._options.sizes, self._options.sizes[1:], strict=False):
            self._readers.rest(self._options.rest_requests)
            resizes.append(self._resize(before, after))
            self._say(_shown(resizes[-1]))
        # Shows late fetches caused by the last resize.
        self._readers.rest(self._options.rest_requests)
        return Run(
            self._catalog,
            self._capacity_bytes,
            first,
            list(self._readers.reads),
            resizes,
            self._survive() if self._options.lose_nodes else [],
        )

    def _survive(self) -> list[Survival]:
        options = self._options
        return survive(self._system, self._catalog, self._readers, options.requests_per_second, options.sizes[-1])

    def _resize(self, before: int, after: int) -> Resize:
        owners, began_at = self._system.owners(), time.monotonic()
        moved_before = self._handed_over_bytes()
        with self._readers.beside(self._options.requests_per_second):
            time.sleep(self._options.before_seconds)
            asked_at = time.monotonic()
            self._system.autoscaler().update_config({"mode": "manual", "num_nodes": after})
            wait_for(lambda: self._system.is_settled_on(after), f"{after} nodes", seconds=_SETTLE_SECONDS, every=0.1)
            # Unwanted nodes still report what they handed over, and the figures are fresh by now.
            time.sleep(_FRESH_SECONDS)
            moved_bytes = self._handed_over_bytes() - moved_before
            steps = self._steps(self._system.pool()["map"]["epoch"])
            time.sleep(self._options.after_seconds - _FRESH_SECONDS)
            ended_at = time.monotonic()
        return Resize(
            before,
            after,
            began_at,
            asked_at,
            steps["open"],
            steps["close"],
            steps["settle"],
            ended_at,
            owners,
            self._system.owners(),
            moved_bytes,
        )

    def _steps(self, settled_epoch: int) -> dict[str, float]:
        """When the last resize took which step."""
        epochs = range(settled_epoch - 2, settled_epoch + 1)
        events = [event for event in self._system.autoscaler().events(200) if event["epoch"] in epochs]
        return {event["kind"]: event["at"] + self._epoch_offset for event in events}

    def _handed_over_bytes(self) -> int:
        """How much the living nodes have handed over to new owners so far."""
        stats = [node["stats"] or {} for node in self._system.pool()["nodes"]]
        return sum(node.get("handed_over_bytes", 0) for node in stats)


def _shown(resize: Resize) -> str:
    return (
        f"{resize.from_nodes} -> {resize.to_nodes}: opened after {resize.opened_at - resize.asked_at:.1f} s, "
        f"settled after {resize.settled_at - resize.asked_at:.1f} s, "
        f"{resize.moved_bytes / MEGABYTE:.0f} MB of {resize.moved_partitions} partitions moved"
    )
