"""A member's control listener: receives invalidations on a port and threads of its own.

They must never queue behind fills or uploads: web waits for storage, and storage waits for web before it acknowledges.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.errors import ElasticImagesError, InvalidRequest, NotFound, TooLarge, Unauthenticated
from elastic_images.http.problems import problem_document

_log = logging.getLogger(__name__)
_MAX_BODY_BYTES = 4_000_000
_MAX_DRAINED_BYTES = 4 * _MAX_BODY_BYTES
_IDLE_SECONDS = 300.0


class ControlListener:
    """Serves `/invalidate`, `/clear` and `/healthz` for one cache (docs/internal-api.md)."""

    def __init__(self, host: str, port: int, token: str, cache: CoherentCache) -> None:
        """Bind to `host:port` at once (0: any free port). Raises OSError if it cannot."""
        self._server = _Server((host, port), _handler(token, _routes(cache)))
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)

    @property
    def port(self) -> int:
        """The port it is bound to."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - fixed signature
        _log.debug("control connection from %s broke", client_address, exc_info=True)


Route = Callable[[dict[str, Any]], dict[str, Any]]


def _routes(cache: CoherentCache) -> dict[tuple[str, str], Route]:
    def invalidate(body: dict[str, Any]) -> dict[str, Any]:
        keys = body.get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InvalidRequest("keys must be a list of keys.")
        return {"dropped": cache.invalidate_keys(str(body.get("incarnation")), keys)}

    def clear(body: dict[str, Any]) -> dict[str, Any]:
        return {"dropped": cache.clear(str(body.get("incarnation")))}

    def healthz(_body: dict[str, Any]) -> dict[str, Any]:
        return {"epoch": cache.epoch, "incarnation": cache.incarnation}

    return {("POST", "/invalidate"): invalidate, ("POST", "/clear"): clear, ("GET", "/healthz"): healthz}


def _handler(token: str, routes: dict[tuple[str, str], Route]) -> type[BaseHTTPRequestHandler]:
    expected = f"Bearer {token}".encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Sends headers and body in one segment; two would wait for an acknowledgement in between (40 ms on Linux).
        wbufsize = -1
        disable_nagle_algorithm = True
        timeout = _IDLE_SECONDS

        def _answer(self) -> None:
            try:
                if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected):
                    raise Unauthenticated("A control listener needs the internal token.")
                route = routes.get((self.command, self.path))
                if route is None:
                    raise NotFound(f"There is nothing at {self.path}.")
                self._send(200, route(self._body()))
            except ElasticImagesError as error:
                self.close_connection = True
                self._send(error.status, problem_document(error))

        do_GET = do_POST = _answer  # noqa: N815 - the standard library's names

        def _body(self) -> dict[str, Any]:
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
                self._drain(int(length) if length.isdecimal() else 0)
                raise TooLarge("The body is too large.")
            try:
                body = json.loads(self.rfile.read(int(length)) or b"{}")
            except ValueError:
                raise InvalidRequest("The body is not valid JSON.") from None
            if not isinstance(body, dict):
                raise InvalidRequest("The body must be a JSON object.")
            return body

        def _drain(self, length: int) -> None:
            """Read a refused body, within bounds: a client that is still sending would see a reset, not the answer."""
            left = min(length, _MAX_DRAINED_BYTES)
            while left and (chunk := self.rfile.read(min(left, 65_536))):
                left -= len(chunk)

        def _send(self, status: int, value: Mapping[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                # Otherwise the next invalidation is sent on a connection that is closing, and has to be repeated.
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - fixed signature
            """Logs nothing: a line for each invalidation would drown the log."""

    return Handler
