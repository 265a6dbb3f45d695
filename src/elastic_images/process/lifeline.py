"""The lifeline: a pipe whose write end only the supervisor holds. It ends when the supervisor does."""

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
    """Start a thread that ends this process once the supervisor is gone, for whatever reason.

    Args:
        descriptor: the inherited read end.
        stop: called first, best effort; it has one second.
        leave: ends the process at once.
    """

    def wait() -> None:
        # A reset connection is an end, too. Data means nothing.
        with contextlib.suppress(OSError):
            while os.read(descriptor, 1):
                pass
        _log.info("the supervisor is gone; exiting")
        helper = threading.Thread(target=stop, name="lifeline-stop", daemon=True)
        helper.start()
        helper.join(STOP_SECONDS)
        leave(LOST_EXIT_CODE)

    thread = threading.Thread(target=wait, name="lifeline", daemon=True)
    thread.start()
    return thread
