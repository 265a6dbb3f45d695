"""Calls between our own processes: HTTP with the shared token, and our errors on both ends."""

from __future__ import annotations

import contextlib
import json as json_module
import queue
from collections.abc import Collection, Iterable, Mapping
from typing import IO, Any

import urllib3
from urllib3.connection import HTTPConnection

from elastic_images.core.errors import Unavailable
from elastic_images.core.protocol import PROTOCOL, PROTOCOL_HEADER
from elastic_images.http.dead_peers import dead_peer_options
from elastic_images.http.lean_client import LeanAnswer, LeanClient, NotConnected
from elastic_images.http.problems import error_from_answer
from elastic_images.http.readiness import ASK_SECONDS, Readiness

_CONNECT_SECONDS = 2.0
_WHOLE_SECONDS = 60.0
WRITE_SECONDS = 60.0
"""A write waits for its turn to be decoded, for the decoding, and up to 10 s for the caches."""
GONE_SECONDS = 10
"""When a write gives up on a storage machine that is gone. A hung process may take as long to accept more of an upload,
so there is no need for less than a writer's patience with caches."""


class NoAnswer(Unavailable):
    """No connection, or no answer in time: the other side may have done what it was asked, or not."""


class InternalClient:
    """A client with keep-alive connections. Safe to share between threads.

    It never retries a failed call: only the caller knows whether that is harmless. If a server closes a connection
    after an answer, the idle ones to its address are closed, too: a process that was replaced waits for them.
    """

    def __init__(self, token: str | None, *, connections: int = 32) -> None:
        self._token = token
        self._every_call = {} if token is None else {"Authorization": f"Bearer {token}", PROTOCOL_HEADER: str(PROTOCOL)}
        self._pool = urllib3.PoolManager(
            num_pools=32,
            maxsize=connections,
            block=False,
            retries=False,
            socket_options=[*HTTPConnection.default_socket_options, *dead_peer_options(GONE_SECONDS)],
        )
        self._lean: dict[float, LeanClient] = {}
        self._upload = LeanClient(
            token,
            answer_seconds=WRITE_SECONDS,
            connect_seconds=_CONNECT_SECONDS,
            options=dead_peer_options(GONE_SECONDS),
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        body: bytes | IO[bytes] | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 5.0,
        stream: bool = False,
        accept: Collection[int] = (),
    ) -> urllib3.BaseHTTPResponse:
        """Make a request and return the answer if its status is below 400, or one of `accept`.

        `timeout_seconds` bounds connecting and each wait for data. With `stream` the caller reads the body, and then
        calls `release_conn`, or `close` to leave it unread.

        Raises:
            ElasticImagesError: the error in the other side's problem document.
            NoAnswer: no connection, or no answer in time.
        """
        sent = {**self._every_call, **(headers or {})}
        if json is not None:
            body = json_module.dumps(json).encode()
            sent["Content-Type"] = "application/json"
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers=sent,
                timeout=urllib3.Timeout(connect=min(timeout_seconds, _CONNECT_SECONDS), read=timeout_seconds),
                preload_content=not stream,
                redirect=False,
            )
            self._mind_end(url, answer.headers)
            if answer.status < 400 or answer.status in accept:
                return answer
            raise error_from_answer(answer.status, answer.headers, answer.data)
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer(f"{_place(url)} does not answer.") from error

    def fetch(self, url: str, *, headers: Mapping[str, str] | None = None, timeout_seconds: float = 5.0) -> LeanAnswer:
        """GET a whole answer from one of our own servers, at a tenth of the cost of `request`. Raises as `request`.

        `timeout_seconds` is as in `request`; the whole answer has a minute. If a kept connection turns out to be
        closed, the call is made once more. Headers have lower-case names.
        """
        scheme, _, rest = url.partition("://")
        if scheme != "http":
            # TLS goes through urllib3: it costs more than what the lean client saves.
            answer = self.request("GET", url, headers=headers, timeout_seconds=timeout_seconds)
            return LeanAnswer(
                answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data
            )
        address, _, path = rest.partition("/")
        return self._successful(address, self._lean_for(timeout_seconds).get(address, "/" + path, headers or {}))

    def notify(self, address: str, path: str, value: Any, *, timeout_seconds: float) -> None:
        """POST `value` as JSON to our process at `address` (`host:port`), at the cost of `fetch`. Raises as `fetch`.

        If a kept connection turns out to be closed, it is sent once more: that must be harmless. Use few different
        values of `timeout_seconds`, because connections are kept for each.
        """
        body = json_module.dumps(value).encode()
        sent = self._lean_for(timeout_seconds).post(address, path, {"Content-Type": "application/json"}, body)
        self._successful(address, sent)

    def put(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> LeanAnswer:
        """PUT a whole `body`, at less cost than `request`; the answer has `WRITE_SECONDS`.

        If a kept connection turns out to be closed, it is sent once more: that must be harmless.

        Raises as `request`, and NotConnected if nothing was sent.
        """
        scheme, _, rest = url.partition("://")
        if scheme != "http":
            answer = self.request("PUT", url, body=body, headers=headers, timeout_seconds=WRITE_SECONDS)
            return LeanAnswer(answer.status, dict(answer.headers), answer.data)
        address, _, path = rest.partition("/")
        try:
            sent = self._upload.put(address, "/" + path, headers, body)
        except NotConnected:
            raise
        except Unavailable as error:
            raise NoAnswer(str(error)) from error
        return self._successful(address, sent)

    def _lean_for(self, timeout_seconds: float) -> LeanClient:
        lean = self._lean.get(timeout_seconds)
        if lean is None:
            lean = self._lean.setdefault(
                timeout_seconds,
                LeanClient(
                    self._token,
                    answer_seconds=timeout_seconds,
                    whole_seconds=_WHOLE_SECONDS,
                    connect_seconds=min(timeout_seconds, _CONNECT_SECONDS),
                ),
            )
        return lean

    def _successful(self, address: str, answer: LeanAnswer) -> LeanAnswer:
        self._mind_end(f"http://{address}", answer.headers)
        if answer.status < 400:
            return answer
        raise error_from_answer(*answer)

    def _mind_end(self, url: str, headers: Mapping[str, str]) -> None:
        if headers.get("connection", "").lower() != "close":
            return
        for lean in (*self._lean.values(), self._upload):
            lean.close_idle(url.partition("://")[2].partition("/")[0])
        idle = self._pool.connection_from_url(url).pool
        with contextlib.suppress(queue.Empty):
            while idle is not None:
                if (kept := idle.get_nowait()) is not None:
                    kept.close()

    def get_json(self, url: str, *, timeout_seconds: float = 5.0) -> Any:
        """GET, and decode the answer's JSON. Raises as `request`."""
        return decoded(self.request("GET", url, timeout_seconds=timeout_seconds))

    def readiness(self, url: str) -> Readiness:
        """What the app at `url` says that it can do. Raises NoAnswer after 1.4 s, and as `request`."""
        answer = self.request("GET", f"{url}/readyz", timeout_seconds=ASK_SECONDS, accept=(503,))
        return Readiness.from_json(decoded(answer))

    def post_json(self, url: str, value: Any, *, timeout_seconds: float = 5.0) -> Any:
        """POST `value` as JSON, and decode the answer's. Raises as `request`."""
        return decoded(self.request("POST", url, json=value, timeout_seconds=timeout_seconds))

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()
        for lean in (*self._lean.values(), self._upload):
            lean.close()


def decoded(answer: urllib3.BaseHTTPResponse | LeanAnswer) -> Any:
    """The JSON of an answer; None if it has no body. Raises Unavailable if it is not JSON."""
    body = answer.body if isinstance(answer, LeanAnswer) else answer.data
    try:
        return json_module.loads(body) if body else None
    except ValueError as error:
        raise Unavailable("Another process sent an answer that is not JSON.") from error


def _place(url: str) -> str:
    parts = urllib3.util.parse_url(url)
    return f"{parts.host}:{parts.port}"
