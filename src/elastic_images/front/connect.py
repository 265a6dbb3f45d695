"""Connecting without blocking."""

from __future__ import annotations

import contextlib
import socket


def begin_connect(address: tuple[str, int], source: str | None = None) -> socket.socket:
    """A non-blocking socket that is connecting to a numeric address, from the address `source` if given.

    Raises OSError if the connection is refused at once or no descriptor is left.
    """
    connection = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            connection.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
