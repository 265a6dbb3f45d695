"""The floor under uploads: the same files written and flushed, and nothing else."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.lib.wrk import Load


def write_files(folder: Path, bodies: Sequence[bytes], *, threads: int, seconds: float) -> Load:
    """Write files with `threads` threads, each flushed to disk (fsync) before the next, and remove them."""
    folder.mkdir(parents=True)
    numbers = itertools.count()
    started = time.monotonic()
    give_up = threading.Event()

    def write() -> list[float]:
        taken = []
        while not give_up.is_set() and time.monotonic() - started < seconds:
            number = next(numbers)
            began = time.monotonic()
            _write(folder / f"{number}.jpg", bodies[number % len(bodies)])
            taken.append(time.monotonic() - began)
        return taken

    try:
        with ThreadPoolExecutor(threads) as pool:
            try:
                lists = [job.result() for job in [pool.submit(write) for _ in range(threads)]]
            finally:
                give_up.set()
        return load_of([each for taken in lists for each in taken], time.monotonic() - started)
    finally:
        shutil.rmtree(folder)


def load_of(taken_seconds: Sequence[float], elapsed_seconds: float) -> Load:
    """The measurement from the duration of each write. Raises ValueError if there is none."""
    if not taken_seconds:
        raise ValueError("nothing was written")
    ordered = sorted(taken_seconds)
    return Load(
        requests=len(ordered),
        seconds=elapsed_seconds,
        received_bytes=0,
        errors=0,
        p50_ms=ordered[len(ordered) // 2] * 1e3,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1e3,
    )


def _write(path: Path, body: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, body)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
