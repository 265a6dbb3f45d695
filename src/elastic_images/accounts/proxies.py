"""The real source of a request that came through proxies. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from elastic_images.accounts.hosts import parse_address
from elastic_images.core.errors import InvalidRequest

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~@+%-]+)+").fullmatch


@dataclass(frozen=True, slots=True)
class Client:
    """The client's address, and the scheme and `Host` it used."""

    address: str
    scheme: str
    host: str | None
    prefix: str = ""
    """The path below which the proxy publishes the app, without a slash at its end."""


class Proxies:
    """The proxies whose `X-Forwarded-*` headers are trusted. Thread-safe."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """`trusted` are addresses and networks, such as `10.0.0.0/8`.

        Raises:
            InvalidRequest: one of them is invalid.
        """
        try:
            self._networks = tuple(ip_network(text, strict=False) for text in trusted)
        except ValueError as error:
            raise InvalidRequest(f"TRUSTED_PROXIES must list addresses or networks: {error}.") from None

    def client(self, environ: Mapping[str, Any]) -> Client:
        """The client of a WSGI request.

        The headers count only if the connection comes from a trusted proxy. `X-Forwarded-For` is read from the right,
        where our proxies append, up to the first address that is not a trusted proxy.
        """
        peer = str(environ.get("REMOTE_ADDR") or "")
        scheme = str(environ.get("wsgi.url_scheme") or "http")
        host = environ.get("HTTP_HOST")
        if not self.is_trusted(peer):
            return Client(peer, scheme, host)
        return Client(
            self._forwarded_for(str(environ.get("HTTP_X_FORWARDED_FOR") or ""), peer),
            _last(environ.get("HTTP_X_FORWARDED_PROTO")) or scheme,
            _last(environ.get("HTTP_X_FORWARDED_HOST")) or host,
            _prefix(_last(environ.get("HTTP_X_FORWARDED_PREFIX")) or ""),
        )

    def address_of(self, environ: Mapping[str, Any]) -> str:
        """The address of the client."""
        return self.client(environ).address

    def is_trusted(self, text: str) -> bool:
        """Whether the address is a trusted proxy's. Asked for each connection: parsing an address takes 10 us."""
        address = parse_address(text) if self._networks else None
        return address is not None and any(address in network for network in self._networks)

    def _forwarded_for(self, header: str, peer: str) -> str:
        client = peer
        for part in reversed(header.split(",")):
            text = _without_port(part.strip())
            if parse_address(text) is None:
                break
            client = text
            if not self.is_trusted(text):
                break
        return client


def _prefix(header: str) -> str:
    # It becomes part of every link: two slashes would begin the address of another host.
    prefix = header.rstrip("/")
    return prefix if _PREFIX(prefix) and not {".", ".."} & set(prefix.split("/")) else ""


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _last(header: Any) -> str | None:
    return str(header).rpartition(",")[2].strip() or None if header else None
