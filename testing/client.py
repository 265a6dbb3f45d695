"""An HTTP client for a system, as a user's script would use it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from elastic_images.core.keys import quote_key


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def cache(self) -> str | None:
        """Where an image came from: `HIT`, `HIT-NEAR`, `MISS`, `BYPASS`."""
        return self.headers.get("X-Cache")

    @property
    def problem(self) -> tuple[int, str]:
        """Status and the last part of a problem document's type."""
        assert self.headers.get("Content-Type") == "application/problem+json", (self.status, self.body[:200])
        document = self.json
        assert document["status"] == self.status
        return self.status, document["type"].rpartition("/")[2]


class Client:
    """Calls web or the manager, with or without a token. Thread-safe. Never retries."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=urllib3.Timeout(connect=5, read=30))

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one request. Raises NoAnswer."""
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        given: dict[str, Any] = {"fields": fields} if fields is not None else {"body": body}
        try:
            answer = self._pool.request(method, self.url + path, headers=sent, redirect=False, **given)
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer(f"{method} {path}: {error}") from error
        return Answer(answer.status, answer.headers, answer.data)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def readyz(self) -> int:
        """The status of `/readyz`."""
        return self.request("GET", "/readyz").status

    def put(self, key: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Upload by the REST API."""
        return self.request("PUT", f"/api/images/{quote_key(key)}", body=body, headers=headers)

    def get(self, key: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The image's bytes, from its stable address."""
        return self.request("GET", f"/images/{quote_key(key)}", headers=headers)

    def metadata(self, key: str) -> Answer:
        """The image's metadata."""
        return self.request("GET", f"/api/images/{quote_key(key)}")

    def delete(self, key: str) -> Answer:
        """Delete by the REST API."""
        return self.request("DELETE", f"/api/images/{quote_key(key)}")

    def list(self, prefix: str = "", limit: int = 100) -> Iterator[dict[str, Any]]:
        """The metadata of all images whose key starts with `prefix`, page by page."""
        cursor: str | None = None
        while True:
            query = {"prefix": prefix, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
            answer = self.request("GET", f"/api/images?{urlencode(query)}")
            assert answer.status == 200, answer.body
            page = answer.json
            yield from page["images"]
            cursor = page["next"]
            if cursor is None:
                return

    def course(self, call: str, *, fields: Mapping[str, Any] | None = None, **query: object) -> dict[str, Any]:
        """A call of the course API: its JSON. `call` is what follows `/api/`."""
        suffix = f"?{urlencode(query)}" if query else ""
        answer = self.request("POST", f"/api/{call}{suffix}", fields=fields, body=None)
        assert answer.status == 200, (answer.status, answer.body[:300])
        return dict(answer.json)


class NoAnswer(OSError):
    """The connection was refused, broke, or stayed silent."""
