"""The supervisor's sockets: who gets the connections of a process that is down."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testing.settings import make_settings
from testing.system import free_offset

from elastic_images.supervisor.listeners import Listeners
from elastic_images.supervisor.processes import Wanted

APPS = ["storage", "storage", "storage", "manager"]


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[tuple[Listeners, int]]:
    with free_offset() as offset:
        settings = make_settings(data=tmp_path, port_offset=offset)
        with Listeners(settings, [Wanted(app, app, []) for app in APPS]) as made:
            yield made, settings.port("storage")


def shares(listeners: Listeners, port: int, count: int = 60) -> list[int]:
    """How many of new connections each socket of storage gets."""
    got = []
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        for descriptor in listeners.descriptors[:3]:
            with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as listener:
                listener.settimeout(0)
                got.append(0)
                try:
                    while True:
                        listener.accept()[0].close()
                        got[-1] += 1
                except BlockingIOError:
                    pass
    assert sum(got) == count, "nobody is refused"
    return got


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux steers connections")
def test_siblings_get_the_connections_of_a_process_that_is_down(listeners: tuple[Listeners, int]) -> None:
    made, port = listeners
    assert all(shares(made, port))
    made.steer([False, True, False, True])
    assert shares(made, port) == [0, 60, 0]
    made.steer([True, False, True, True])
    first, second, third = shares(made, port)
    assert first > 0 == second < third
    made.steer([False, False, False, False])
    assert all(shares(made, port)), "nobody serves, so all of them wait"
    made.steer([True, False, False, False])
    assert shares(made, port) == [60, 0, 0]
    made.steer([True, True, True, True])
    assert all(shares(made, port))
