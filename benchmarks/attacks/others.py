"""Clients of good will, and what they ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlencode

from testing.client import Answer, Client
from testing.system import System

from benchmarks.attacks.attack import HOT
from benchmarks.lib.askers import Asker

WANTED_RATIO = 3.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Others:
    """Readers, an uploader, somebody who logs in, and those who look whether web and manager live."""

    def __init__(self, system: System, image: bytes, upload: bytes) -> None:
        self._image = image
        self._upload = upload
        password = (system.data / "admin-password").read_text().strip()
        login = urlencode({"name": "admin", "password": password}).encode()
        token = system.admin().token
        self._clients: list[Client] = []
        web, manager = system.url(), system.url("manager")
        self.askers = [
            *(Asker("read", 0.03, self._client(web, lambda client: client.get(HOT)), self._is_image) for _ in range(4)),
            *(Asker("upload", 0.15, self._client(web, self._put, token), _has(201)) for _ in range(2)),
            *(
                Asker(
                    f"login on {app}",
                    0.3,
                    self._client(url, lambda client: client.request("POST", "/login", body=login, headers=_FORM)),
                    _has(303),
                )
                for app, url in (("web", web), ("manager", manager))
            ),
            *(
                Asker(
                    f"/healthz of {app}",
                    0.03,
                    self._client(url, lambda client: client.request("GET", "/healthz")),
                    _has(200),
                )
                for app, url in (("web", web), ("manager", manager))
            ),
        ]

    @property
    def kinds(self) -> list[str]:
        """Who they are."""
        return list(dict.fromkeys(asker.who for asker in self.askers))

    def close(self) -> None:
        """Close their connections."""
        for client in self._clients:
            client.close()

    def _client(self, url: str, ask: Callable[[Client], Answer], token: str | None = None) -> Callable[[], Answer]:
        client = Client(url, token)
        self._clients.append(client)
        return lambda: ask(client)

    def _put(self, client: Client) -> Answer:
        return client.put(f"attacks/new-{time.time_ns()}", self._upload)

    def _is_image(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.body == self._image


def _has(status: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.status == status
