"""The heartbeat: from a process's thread to the supervisor's end of the pipe."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import pytest
from testing.waiting import wait_for

from elastic_images.process import heartbeat
from elastic_images.process.heartbeat import Heartbeat
from elastic_images.supervisor.heartbeats import Heartbeats


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heartbeats]:
    """The supervisor's end. Its end is the end of the heartbeat's thread."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.001)
    pipe = Heartbeats()
    yield pipe
    pipe.close()
    wait_for(lambda: all(thread.name != "heartbeat" for thread in threading.enumerate()), "the thread has ended")
    os.close(pipe.writer)


def test_the_newest_heartbeat_tells_how_long_ago_each_loop_turned(beats: Heartbeats) -> None:
    assert beats.newest() is None
    turned_at = time.monotonic() - 30
    Heartbeat(beats.writer, {"front": lambda: turned_at, "ahead": lambda: turned_at + 1_000}).start()
    ages = wait_for(beats.newest, "a heartbeat")
    assert ages["front"] >= 30
    assert ages["ahead"] == 0
    turned_at = time.monotonic() + 10
    wait_for(lambda: (beats.newest() or {"front": 1})["front"] == 0, "it shows the newest turn")


def test_a_supervisor_that_does_not_read_holds_nothing_up_and_then_gets_whole_lines(beats: Heartbeats) -> None:
    turns: list[float] = []

    def last_turn() -> float:
        turns.append(0.0)
        return time.monotonic()

    os.set_blocking(beats.writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(beats.writer, b'{"front": 1.0}\n')
    Heartbeat(beats.writer, {"front": last_turn}).start()
    wait_for(lambda: len(turns) > 10, "the thread goes on")
    wait_for(lambda: (beats.newest() or {"front": 1.0})["front"] == 0.0, "a fresh heartbeat arrives")
