"""Many items at a time, in order, with patience while the system starts a part of itself anew."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import click

from elastic_images.cli.remote import Remote
from elastic_images.core.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

NO_ANSWER_PAUSES = 6
"""Pauses before giving up on a system that does not answer at all: 7 s in all, because it may not be running."""
PAUSES_SECONDS = (0.1, 0.3, 0.6, 1.0, 2.0, 3.0, *[3.0] * 18)
"""Pauses for a system that answers 503: a minute, as long as the supervisor waits for a part to start."""
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


def patiently(ask: Callable[[], R], *, sleep: Callable[[float], None] = time.sleep) -> R:
    """What `ask` gives; asked again for up to a minute while it raises Unavailable, which then comes through."""
    from elastic_images.http.internal_client import NoAnswer

    for tried, pause in enumerate(PAUSES_SECONDS):
        try:
            return ask()
        except Unavailable as error:
            if isinstance(error, NoAnswer) and tried >= NO_ANSWER_PAUSES:
                raise
        sleep(pause)
    return ask()


def all_images(remote: Remote, prefix: str) -> Iterator[dict[str, Any]]:
    """The metadata of all images whose key begins so, in the order of their keys; asked for with patience."""
    images, cursor = patiently(partial(remote.page, prefix))
    yield from images
    while cursor is not None:
        images, cursor = patiently(partial(remote.page, prefix, cursor))
        yield from images


def with_progress(results: Iterator[R], label: str, count: Callable[[], int]) -> Iterator[R]:
    """The same results; on a terminal with a bar, for which `count` is asked how many there will be."""
    if not sys.stderr.isatty():
        yield from results
        return
    with click.progressbar(results, length=count(), label=label, file=sys.stderr, show_pos=True) as bar:
        yield from bar
