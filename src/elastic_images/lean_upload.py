"""Sending a small upload to storage: one request, by the lean client, 0.3 ms less in web than the 1.6 by urllib3."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from elastic_images.core.errors import Unavailable
from elastic_images.dead_peers import SocketOptions
from elastic_images.lean_http import LeanAnswer, LeanHttp


class NotConnected(Unavailable):
    """Nothing was sent."""


class LeanUpload(LeanHttp):
    """As `LeanHttp`, for bodies that are at hand whole. Safe to share between threads."""

    def __init__(
        self, token: str | None, *, answer_seconds: float, connect_seconds: float, options: SocketOptions
    ) -> None:
        """`options` are set at each socket (`dead_peers`)."""
        super().__init__(token, answer_seconds=answer_seconds, connect_seconds=connect_seconds)
        self._options = options

    def put(self, address: str, path: str, headers: Mapping[str, str], body: bytes) -> LeanAnswer:
        """PUT `body`, as `LeanHttp.post`: it may be sent twice, so that must be harmless.

        Raises:
            NotConnected: there is no connection.
            Unavailable: no whole answer in time, or no HTTP.
        """
        request = self._request("PUT", address, path, {**headers, "Content-Length": str(len(body))})
        return self._call(address, request + body, head=False)

    def _connect(self, address: str) -> socket.socket:
        try:
            made = super()._connect(address)
        except OSError as error:
            raise NotConnected(f"{address} cannot be reached.") from error
        for option in self._options:
            made.setsockopt(*option)
        return made
