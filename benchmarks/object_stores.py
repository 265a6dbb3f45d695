"""What each object store costs: puts and gets of objects a second, through the store alone.

    python -m benchmarks.object_stores [--seconds 3] [--threads 8]

An upload costs one put, a miss one get. The servers are started here, on this machine, and share its cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from itertools import cycle

from testing.object_servers import S3Server, moto, seaweedfs

from benchmarks.lib.stopping import in_order
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.object_store import ObjectStore

SIZES = (10_000, 100_000, 1_000_000)
_STORED = 32


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    print(f"{options.threads} threads, {options.seconds:g} s each, {os.cpu_count()} cores, boto3 {version('boto3')}")
    print("| store | bytes | puts/s | gets/s | put, median | get, median |\n|---|---|---|---|---|---|")
    for name, opened in STORES.items():
        with opened() as store:
            for size in SIZES:
                print(f"| {name} | {size:,} | {' | '.join(measure(store, size, options))} |", flush=True)
    return 0


def measure(store: ObjectStore, size: int, options: argparse.Namespace) -> list[str]:
    """Puts and gets a second, and how long one takes."""
    body = os.urandom(size)
    names = cycle([store.put([body]).name for _ in range(_STORED)])
    lock = threading.Lock()

    def get() -> None:
        with lock:
            name = next(names)
        with store.open(name) as found:
            assert len(found.read()) == size

    timed = [run(lambda: store.put([body]), options), run(get, options)]
    return [f"{rate:,.0f}" for rate, _ in timed] + [f"{1000 * median:.1f} ms" for _, median in timed]


def run(act: Callable[[], object], options: argparse.Namespace) -> tuple[float, float]:
    """The rate of `act` per second over all threads, and its median duration."""
    took: list[float] = []
    end = time.perf_counter() + options.seconds

    def repeat() -> None:
        while (began := time.perf_counter()) < end:
            act()
            took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=repeat) for _ in range(options.threads)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / (time.perf_counter() - began), sorted(took)[len(took) // 2]


@contextmanager
def folder() -> Iterator[ObjectStore]:
    """A folder on this machine's disk, flushed at each put."""
    with tempfile.TemporaryDirectory(prefix="object-stores-") as name:
        yield open_object_store(f"file://{name}/objects")


Opened = Callable[[], AbstractContextManager[ObjectStore]]


def server(started: Callable[[], AbstractContextManager[S3Server]]) -> Opened:
    """A bucket on a server."""

    @contextmanager
    def opened() -> Iterator[ObjectStore]:
        with started() as running:
            os.environ.update(running.environment())
            yield open_object_store(f"s3://{running.fresh_bucket()}/bench")

    return opened


STORES: dict[str, Opened] = {
    "folder": folder,
    "SeaweedFS (checks signatures and checksums)": server(seaweedfs),
    "moto (checks neither)": server(moto),
}


if __name__ == "__main__":
    sys.exit(in_order(main))
