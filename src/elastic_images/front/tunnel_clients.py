"""Who the client of a passed-on connection is: the server behind sees our end of a tunnel only.

Every tunnel comes from a loopback address of its own, by which its client is known. (RFC 1122, section 3.2.1.3: all of
127.0.0.0/8 is this host; on Linux a socket can be bound to any of it.) No header is trusted for that, and it works
however many requests the connection carries.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
_FIRST = int(IPv4Address("127.64.0.0"))
_ADDRESSES = 1 << 22
"""Up to 127.127.255.255; many times the connections that there can be, so that none is used again soon."""


class TunnelClients:
    """The clients by the addresses of our ends. Safe to share between threads; `add` is for one of them."""

    def __init__(self) -> None:
        self._clients: dict[str, str] = {}
        self._numbers = count()

    def add(self, client: str) -> str:
        """The address from which a tunnel for this client is to come. To be taken back by `remove`."""
        while True:
            address = str(IPv4Address(_FIRST + next(self._numbers) % _ADDRESSES))
            if address not in self._clients:
                self._clients[address] = client
                return address

    def remove(self, address: str) -> None:
        """The tunnel is at its end."""
        self._clients.pop(address, None)

    def in_front_of(self, app: WSGIApplication) -> WSGIApplication:
        """WSGI that tells `app` the client's address. Who comes by no tunnel of ours is refused."""

        def named(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            client = self._clients.get(environ["REMOTE_ADDR"])
            if client is None:
                start_response("403 Forbidden", [("Content-Length", "0"), ("Connection", "close")])
                return []
            environ["REMOTE_ADDR"] = client
            return app(environ, start_response)

        return named
