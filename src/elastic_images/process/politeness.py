"""Computing without keeping others from a processor."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
_NICE = 10


def politely(compute: Callable[[], T]) -> T:
    """What `compute` returns or raises, with less of the processor than this process's other threads.

    It is for code that lets go of the interpreter's lock. On Linux a thread has a nice value of its own, but may only
    raise it (setpriority(2)), so this takes a thread of its own, for 0.1 ms.
    """
    found = Future[T]()

    def run() -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            found.set_result(compute())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)

    thread = threading.Thread(target=run, name="polite", daemon=True)
    thread.start()
    thread.join()
    return found.result()
