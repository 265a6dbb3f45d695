"""What every request to a WSGI app of ours passes: it tells that this very process answers, and ends connections."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROBE_HEADER = "X-Elastic-Images-Probe"
_PROBE_VARIABLE = "HTTP_" + PROBE_HEADER.upper().replace("-", "_")


class Gate:
    """WSGI middleware around a whole app. Safe to share between threads."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.closing = False
        """Whether each answer ends its connection."""
        self.probe = secrets.token_hex(8)
        """The value of `PROBE_HEADER` in a request that was made to find this process."""
        self.reached = False
        """Whether such a request has arrived: another process may serve the same port."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the wrapped app does."""
        if self.closing:
            start_response = _closing(start_response)
        elif not self.reached and environ.get(_PROBE_VARIABLE) == self.probe:
            self.reached = True
        return self._app(environ, start_response)


def _closing(start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
        kept = [header for header in headers if header[0].lower() != "connection"]
        return start_response(status, [*kept, ("Connection", "close")], *error)

    return start
