"""Sockets that listen, and that processes pass on to their children."""

from __future__ import annotations

import socket

from elastic_images.core.errors import InvalidRequest

BACKLOG = 1024


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that another process made and keeps. Children do not inherit it.

    Raises:
        InvalidRequest: the descriptor is no listening socket.
    """
    try:
        listener = socket.socket(fileno=descriptor)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        raise InvalidRequest(f"Descriptor {descriptor} is not a socket.") from None
    if not listens:
        listener.close()
        raise InvalidRequest(f"The socket of descriptor {descriptor} does not listen.")
    listener.set_inheritable(False)
    return listener
