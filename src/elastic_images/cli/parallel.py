"""Work on several items at a time, with results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4


def in_parallel(work: Callable[[T], R], items: Iterable[T], jobs: int) -> Generator[R, None, None]:
    """The result of `work` for each item, in order, with `jobs` items at a time.

    Takes only as many items as it needs to keep all threads busy. Errors of `work` or `items` propagate. After one, or
    when the caller stops reading, no further item is started, and it returns once those in progress have ended.
    """
    failed = threading.Event()

    def one(item: T) -> R:
        if failed.is_set():
            # The failed item comes before this one, so nobody reads this result.
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
