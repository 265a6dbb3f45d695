"""The client addresses of requests that are passed on: the backend only sees our connections to it.

Each of them comes from a loopback address of its own, which identifies its client. (RFC 1122, section 3.2.1.3: all of
127.0.0.0/8 is this host, and Linux lets a socket bind to any of it.) This trusts no header, and works for any number of
requests on the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from ipaddress import IPv4Address
from itertools import count
from typing import TYPE_CHECKING

from elastic_images.http.gone_callers import GONE_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
_FIRST = int(IPv4Address("127.64.0.0"))
_ADDRESSES = 1 << 22
"""Up to 127.127.255.255: many times the possible connections, so an address is not reused soon."""


class BackendClients:
    """Clients by the address that their connection to the backend comes from.

    Safe to share between threads; only one may call `add`.
    """

    def __init__(self) -> None:
        self._clients: dict[str, str] = {}
        self._left: set[str] = set()
        self._numbers = count()

    def add(self, client: str) -> str:
        """The address from which to connect for this client. Call `remove` when it has closed."""
        while True:
            address = str(IPv4Address(_FIRST + next(self._numbers) % _ADDRESSES))
            if address not in self._clients:
                self._clients[address] = client
                return address

    def leave(self, address: str) -> None:
        """The client has closed its side while its request is being answered. Most do so when they have left."""
        self._left.add(address)

    def remove(self, address: str) -> None:
        """The connection from this address has closed."""
        self._clients.pop(address, None)
        self._left.discard(address)

    def _is_gone(self, address: str) -> bool:
        return address in self._left or address not in self._clients

    def in_front_of(self, app: WSGIApplication) -> WSGIApplication:
        """WSGI that gives `app` the client's address. Connections other than ours are refused."""

        def named(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            address = environ["REMOTE_ADDR"]
            client = self._clients.get(address)
            if client is None:
                start_response("403 Forbidden", [("Content-Length", "0"), ("Connection", "close")])
                return []
            environ["REMOTE_ADDR"] = client
            environ[GONE_VARIABLE] = partial(self._is_gone, address)
            return app(environ, start_response)

        return named
