"""Work on several items at a time, with results in order and a progress bar."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

import click

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4


def in_parallel(work: Callable[[T], R], items: Iterable[T], jobs: int) -> Generator[R, None, None]:
    """What `work` gives for each item, in their order, `jobs` at a time.

    Takes no more items than it needs to keep all busy. What `work` or `items` raises comes through; then, and where
    the caller stops reading, nothing more is begun, and it returns when what was begun has ended.
    """
    failed = threading.Event()

    def one(item: T) -> R:
        if failed.is_set():
            # Those before it, among them the one that failed, were begun earlier: nobody reads what becomes of this.
            raise CancelledError
        try:
            return work(item)
        except BaseException:
            failed.set()
            raise

    executor = ThreadPoolExecutor(max_workers=jobs)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(one, item))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def with_progress(results: Iterator[R], label: str, count: Callable[[], int]) -> Iterator[R]:
    """The same results; on a terminal with a bar, for which `count` is asked how many there will be."""
    if not sys.stderr.isatty():
        yield from results
        return
    with click.progressbar(results, length=count(), label=label, file=sys.stderr, show_pos=True) as bar:
        yield from bar
