"""Web in front of a real storage app, without a pool: every layer that decides who sees an image is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testing.settings import make_settings
from tests.apps.accounts_support import PASSWORD
from tests.apps.storage_support import served_storage
from tests.apps.web_support import BROWSER
from werkzeug.test import Client, TestResponse

from elastic_images.accounts.accounts import open_accounts
from elastic_images.process.server import serving
from elastic_images.web.service import WebService


@dataclass(frozen=True)
class WholeWeb:
    """The app, where it is served, and the tokens of ann, bob and the administrator root."""

    client: Client
    url: str
    tokens: dict[str, str]

    def ask(self, who: str, method: str, path: str, **more: Any) -> TestResponse:
        """A request of a script; whoever has no token is a visitor."""
        headers = more.pop("headers", {})
        if who in self.tokens:
            headers = headers | {"Authorization": f"Bearer {self.tokens[who]}"}
        return self.client.open(path, method=method, headers=headers, **more)

    def look(self, who: str, path: str, **more: Any) -> TestResponse:
        """A request of a browser."""
        return self.ask(who, more.pop("method", "GET"), path, headers=BROWSER, **more)


@contextmanager
def whole_web(folder: Path, anonymous: str = "write") -> Iterator[WholeWeb]:
    """A system where visitors may write, unless said otherwise, so that every route is open to them."""
    settings = make_settings(data=folder, anonymous=anonymous, max_image_bytes=100_000)
    with served_storage(settings) as (_, storage):
        web = WebService(replace(settings, storage_urls=(f"http://{storage.address}",)))
        accounts = open_accounts(settings)
        tokens = {}
        for name, role in (("ann", "user"), ("bob", "user"), ("root", "admin")):
            accounts.users.add(name, PASSWORD, role)
            tokens[name] = accounts.tokens.create(name, "tests", ["admin" if role == "admin" else "write"])[1]
        try:
            with serving(web.wsgi) as bound:
                yield WholeWeb(Client(web.wsgi), f"http://{bound.address}", tokens)
        finally:
            accounts.close()
            web.stop()
