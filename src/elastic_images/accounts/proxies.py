"""Where a request really comes from, when proxies stand before us. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from elastic_images.accounts.hosts import parse_address
from elastic_images.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Client:
    """What the client used: its address, the scheme and the `Host` it named."""

    address: str
    scheme: str
    host: str | None


class Proxies:
    """The proxies whose `X-Forwarded-...` headers are believed. Safe to share between threads."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """`trusted` are addresses and networks, such as `10.0.0.0/8`.

        Raises:
            InvalidRequest: one of them is neither.
        """
        try:
            self._networks = tuple(ip_network(text, strict=False) for text in trusted)
        except ValueError as error:
            raise InvalidRequest(f"A trusted proxy is no address and no network: {error}.") from None

    def client(self, environ: Mapping[str, Any]) -> Client:
        """Who made the request described by a WSGI `environ`.

        The headers are obeyed only when the connection comes from a trusted proxy. `X-Forwarded-For` is read from its
        right end, where our own proxies wrote, to the first address that is none of theirs.
        """
        peer = str(environ.get("REMOTE_ADDR") or "")
        scheme = str(environ.get("wsgi.url_scheme") or "http")
        host = environ.get("HTTP_HOST")
        if not self._networks or not self._is_trusted(peer):
            return Client(peer, scheme, host)
        return Client(
            self._forwarded_for(str(environ.get("HTTP_X_FORWARDED_FOR") or ""), peer),
            _last(environ.get("HTTP_X_FORWARDED_PROTO")) or scheme,
            _last(environ.get("HTTP_X_FORWARDED_HOST")) or host,
        )

    def _is_trusted(self, text: str) -> bool:
        address = parse_address(text)
        return address is not None and any(address in network for network in self._networks)

    def _forwarded_for(self, header: str, peer: str) -> str:
        client = peer
        for part in reversed(header.split(",")):
            text = _without_port(part.strip())
            if parse_address(text) is None:
                break
            client = text
            if not self._is_trusted(text):
                break
        return client


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _last(header: Any) -> str | None:
    return str(header).rpartition(",")[2].strip() or None if header else None
