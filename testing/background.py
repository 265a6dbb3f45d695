"""Threads that work beside a block."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

_END_SECONDS = 120.0


class Stop(Protocol):
    """An event of `threading` or `multiprocessing`."""

    def set(self) -> None: ...


@contextlib.contextmanager
def beside(stop: Stop, *works: Callable[[], object]) -> Iterator[None]:
    """Run `works`, which end when `stop` is set, in threads during the block; then set it and wait for them."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(_END_SECONDS)
