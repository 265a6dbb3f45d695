"""Calls of an HTTP API of Elastic Images: connections, the token, JSON, errors, retries."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from elastic_images.client.errors import NoAnswer, NotConnected, UnexpectedAnswer, error_of_answer
from elastic_images.client.retries import Retries
from elastic_images.core.errors import InvalidRequest

R = TypeVar("R")
_CONNECT_SECONDS = 5.0
_FIRST_FAILURE = 300


class Readable(Protocol):
    """The body of a request."""

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""


class Api:
    """The API at `url`, of web or of the manager. Safe to share between threads. A context manager.

    `timeout` bounds each wait for data, connecting at most 5 s.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 90.0,
        retries: Retries | None = None,
        pool_size: int = 10,
    ) -> None:
        self.url = url.rstrip("/")
        self._place = _place(url)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._timeout = urllib3.Timeout(connect=min(timeout, _CONNECT_SECONDS), read=timeout)
        self._retries = retries or Retries()
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=pool_size, retries=False)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def get(self, path: str, **query: object) -> Any:
        """The JSON at a path. Parameters that are None are left out."""
        return self.json("GET", path, query=query)

    def pages(self, path: str, **query: object) -> Iterator[Any]:
        """The JSON of all pages of a listing."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield page
            cursor = page["next"]
            if cursor is None:
                return

    def json(
        self,
        method: str,
        path: str,
        value: Any = None,
        *,
        query: Mapping[str, object] | None = None,
        only_unsent: bool = False,
    ) -> Any:
        """Make a call, with `value` as JSON. Returns the answer's JSON. Raises as `once`.

        `only_unsent`: do not repeat a call that may have been carried out.
        """

        def attempt() -> Any:
            return decoded(self.once(method, path, query=query, json=value))

        return self.repeated(attempt, only_unsent=only_unsent)

    def repeated(self, attempt: Callable[[], R], *, only_unsent: bool = False) -> R:
        """What `attempt` returns, repeated as `Retries` says."""
        return self._retries.run(attempt, only_unsent=only_unsent)

    def once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        json: Any = None,
        body: Readable | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Make one request. With `stream` the caller reads the body and closes the response.

        Raises:
            ElasticImagesError: the error in the answer.
            NoAnswer, NotConnected: there is none.
            UnexpectedAnswer: this is no answer of Elastic Images. Redirects are not followed.
        """
        sent: Any = body
        every_call = self._headers
        if json is not None:
            sent, every_call = json_module.dumps(json).encode(), {**every_call, "Content-Type": "application/json"}
        try:
            answer = self._pool.request(
                method,
                self.address(path, query),
                body=sent,
                headers={**every_call, **(headers or {})},
                timeout=self._timeout,
                preload_content=not stream,
                redirect=False,
            )
            if answer.status < _FIRST_FAILURE:
                return answer
            raise error_of_answer(self._place, answer.status, answer.headers, answer.data)
        except SSLError as error:
            raise UnexpectedAnswer(f"{self._place} cannot be connected to securely: {error}.") from error
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise NotConnected(f"{self._place} does not answer.") from error
        except HTTPError as error:
            raise NoAnswer(f"{self._place} does not answer.") from error

    def address(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """The absolute URL of a path, whose characters are encoded here. Parameters that are None are left out."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{self.url}{quote(path)}" + (f"?{urlencode(given, safe=':')}" if given else "")


def decoded(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """The JSON object of an answer. Raises UnexpectedAnswer."""
    try:
        value = json_module.loads(answer.data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnexpectedAnswer("The answer is no JSON object: check the URL.")
    return value


def _place(url: str) -> str:
    """Host and port of a URL. Raises InvalidRequest."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
            return parts.netloc.rpartition("@")[2]
    except ValueError:
        pass
    raise InvalidRequest(f"The URL must be http://HOST:PORT or https://HOST, not {url!r}.")
