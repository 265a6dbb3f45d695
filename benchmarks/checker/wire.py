"""A small HTTP client of the checker's own: whatever goes wrong is told apart from an answer."""

from __future__ import annotations

import http.client
from typing import NamedTuple


class Reply(NamedTuple):
    """An answer."""

    status: int
    cache: str
    body: bytes


class Connection:
    """One kept-alive connection, made anew after any trouble. Not safe to share between threads."""

    def __init__(self, host: str, port: int, timeout_seconds: float) -> None:
        self._arguments = (host, port, timeout_seconds)
        self._open: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply | None:
        """The answer; None where there was none: refused, reset, cut off, or too late."""
        if self._open is None:
            host, port, timeout_seconds = self._arguments
            self._open = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        try:
            self._open.request(method, path, body, headers or {})
            answer = self._open.getresponse()
            return Reply(answer.status, answer.headers.get("X-Cache", ""), answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def close(self) -> None:
        """Close it; the next request opens it again, perhaps to another process behind the same port."""
        if self._open is not None:
            self._open.close()
            self._open = None
