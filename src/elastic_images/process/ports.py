"""Listening on ports: one owner each, and a helpful error if one is taken."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable

from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidRequest
from elastic_images.process.listening import BACKLOG
from elastic_images.settings.addresses import BASE_PORTS

_NODES = 8
_OFFSETS = range(0, 1000, 100)


class PortTaken(Conflict):
    """Something else already listens on the port."""

    slug, title = "port-taken", "Port taken"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} on {host} is taken.{_known_listener(port)}{_advice(host, port)}")
        self.port = port


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A TCP socket that listens on the port; port 0 means any free one.

    Connections are queued from now on. Unless `shared`, no other process can bind to the port while the socket is open,
    so there is no gap between finding the port free and owning it. A shared port is divided among all processes of this
    user that bind to it as shared.

    Raises:
        PortTaken: something else listens there; the message names a `--port-offset` that is free.
        InvalidRequest: this machine has no such address, or the port is privileged.
    """
    listener = _socket_for(host, port)
    try:
        # Allows a restart while old connections are in TIME_WAIT; it does not let two listeners share.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by every connection. Without it one answer in four waits 40 ms for the client's delayed
        # acknowledgement: the 90th percentile of storage's answers was 48 ms, and is 3 ms with it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((_bare(host), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from None
        raise InvalidRequest(f"Cannot listen on {host}, port {port}: {error.strerror}.") from error
    return listener


def check_free(host: str, ports: Iterable[int]) -> None:
    """Check that every port is free at this moment. Raises as `bind`, for the first that is not."""
    for port in ports:
        bind(host, port).close()


def ports_of(offset: int) -> list[int]:
    """Every port of a system with this offset."""
    nodes = range(BASE_PORTS["memcache"] + offset, BASE_PORTS["memcache"] + offset + _NODES)
    return [*(port + offset for app, port in BASE_PORTS.items() if app != "memcache"), *nodes]


def free_offset(host: str) -> int | None:
    """The first multiple of 100 with which every port is free on `host`, or None."""
    for offset in _OFFSETS:
        try:
            check_free(host, ports_of(offset))
        except ElasticImagesError:
            continue
        return offset
    return None


def _socket_for(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(_bare(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except OSError as error:
        raise InvalidRequest(f"{host} is not an address of this machine: {error.strerror}.") from error
    return socket.socket(family, socket.SOCK_STREAM)


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")


def _known_listener(port: int) -> str:
    if sys.platform == "darwin" and port == BASE_PORTS["web"]:
        return " On macOS the AirPlay Receiver uses this port; you can turn it off in the system settings."
    return ""


def _advice(host: str, port: int) -> str:
    if not any(port - base in range(1000) for base in ports_of(0)):
        return ""  # an offset does not move this port
    offset = free_offset(host)
    return "" if offset is None else f" With --port-offset {offset} every port is free."
