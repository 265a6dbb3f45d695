"""The lifeline: a pipe whose write end only the supervisor holds, so that its end is seen by everyone at once."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)
STOP_SECONDS = 1.0
LOST_EXIT_CODE = 70


def watch(descriptor: int, stop: Callable[[], None], *, leave: Callable[[int], object] = os._exit) -> threading.Thread:
    """Start a thread that ends this process once the supervisor is gone, however it went.

    Args:
        descriptor: the read end, inherited.
        stop: called first, best effort; it has one second.
        leave: ends the process without asking anyone.
    """

    def wait() -> None:
        # A reset connection is an end, too; what is read means nothing.
        with contextlib.suppress(OSError):
            while os.read(descriptor, 1):
                pass
        _log.info("the supervisor is gone; leaving")
        helper = threading.Thread(target=stop, name="lifeline-stop", daemon=True)
        helper.start()
        helper.join(STOP_SECONDS)
        leave(LOST_EXIT_CODE)

    thread = threading.Thread(target=wait, name="lifeline", daemon=True)
    thread.start()
    return thread
