"""The client for a running system's APIs, and the options that locate it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import click

from elastic_images.cli.options import settings_options
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.keys import check_key, quote_key
from elastic_images.settings import Settings
from elastic_images.settings.addresses import is_loopback
from elastic_images.settings.secret_files import read_secret
from elastic_images.supervisor.running_urls import url_of

if TYPE_CHECKING:
    import urllib3

    from elastic_images.http.internal_client import InternalClient

_TRANSFER_SECONDS = 120.0
MAX_PAGE = 1000
Ask = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class ApiClient:
    """Calls the web app or the manager of a running system. Safe to share between threads."""

    http: InternalClient
    url: str

    def upload(
        self, key: str, body: IO[bytes], size_bytes: int, headers: Mapping[str, str] | None = None
    ) -> tuple[bool, dict[str, Any]]:
        """Upload an image. Returns whether its key is new, and its metadata."""
        sent = {"Content-Length": str(size_bytes), "Content-Type": "application/octet-stream", **(headers or {})}
        answer = self.http.request(
            "PUT", self._address(key), body=body, headers=sent, timeout_seconds=_TRANSFER_SECONDS
        )
        return answer.status == 201, json.loads(answer.data)

    def metadata(self, key: str) -> dict[str, Any]:
        """An image's metadata. Raises NotFound."""
        return dict(self.http.get_json(self._address(key), timeout_seconds=30))

    def fetch(self, key: str) -> urllib3.BaseHTTPResponse:
        """The image as a response whose body has not been read."""
        return self.http.request(
            "GET", f"{self.url}/images/{quote_key(check_key(key))}", timeout_seconds=_TRANSFER_SECONDS, stream=True
        )

    def delete(self, key: str) -> None:
        """Delete an image."""
        self.http.request("DELETE", self._address(key), timeout_seconds=_TRANSFER_SECONDS)

    def images(self, prefix: str, ask: Ask | None = None) -> Iterator[dict[str, Any]]:
        """The metadata of all images whose key starts with `prefix`, in key order. `ask` is as for `listed`."""
        return self.listed("/api/images", "images", ask, prefix=prefix, limit=MAX_PAGE)

    def listed(self, path: str, name: str, ask: Ask | None = None, **query: object) -> Iterator[dict[str, Any]]:
        """The entries of all pages of a listing, which are under `name`. `ask` does what `get` does for each page."""
        cursor: str | None = ""
        while cursor is not None:
            given = query | ({"cursor": cursor} if cursor else {})
            page = (ask or self.get)(f"{path}?{urlencode(given)}")
            yield from page[name]
            cursor = page["next"]

    def post(self, path: str, value: Any = None) -> Any:
        """Ask for something, with details in `value` if it needs any. Returns the answer's JSON."""
        return self.http.post_json(self.url + path, value, timeout_seconds=_TRANSFER_SECONDS)

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self.http.get_json(self.url + path, timeout_seconds=30)

    def patch(self, path: str, value: Any) -> Any:
        """Change the resource at a path. Returns its new JSON."""
        return json.loads(self.http.request("PATCH", self.url + path, json=value, timeout_seconds=30).data)

    def _address(self, key: str) -> str:
        return f"{self.url}/api/images/{quote_key(check_key(key))}"


def api_options(app: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--url`, `--token`, and the settings that supply their defaults. The command gets `api`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, url: str | None, token: str | None, settings: Settings, **given: Any) -> Any:
            # Imported here so that `up` and `serve` do not load it.
            from elastic_images.http.internal_client import InternalClient

            address = _checked(url or url_of(settings, app))
            api = ApiClient(InternalClient(token or _kept_token(settings, address)), address)
            try:
                return command(*args, api=api, **given)
            finally:
                api.http.close()

        variable = "ELASTIC_IMAGES_URL" if app == "web" else "ELASTIC_IMAGES_MANAGER_URL"
        wrapped: Callable[..., Any] = settings_options("data", "port_offset", "host")(run)
        wrapped = click.option(
            "--token",
            envvar="ELASTIC_IMAGES_TOKEN",
            show_envvar=True,
            help="API token. [default: the one in the data folder]",
        )(wrapped)
        return click.option(
            "--url", envvar=variable, show_envvar=True, help=f"Address of {app}. [default: on this machine]"
        )(wrapped)

    return decorate


def _kept_token(settings: Settings, address: str) -> str | None:
    """The token in the data folder, sent to this machine only."""
    ours = (url_of(settings, "web"), url_of(settings, "manager"))
    if not is_loopback(urlsplit(address).hostname or "") and address not in ours:
        return None
    try:
        return read_secret(settings.data / "cli-token")
    except OSError:
        return None  # it belongs to another user: call without a token


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(f"--url must be http://HOST:PORT, not {url!r}.")
    return url.rstrip("/")
