"""Clients of good will: what they ask for, how long it takes, and what fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from testing.client import Answer, Client, NoAnswer
from testing.system import System

from benchmarks.attacks.attack import HOT

WANTED_RATIO = 3.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Seen:
    """The requests of a phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.failed: dict[str, list[str]] = defaultdict(list)

    def p99_ms(self, who: str) -> float:
        """The 99th percentile of how long answers took."""
        taken = sorted(self.seconds[who])
        return taken[min(len(taken) - 1, len(taken) * 99 // 100)] * 1000 if taken else float("inf")


class Others:
    """Readers, an uploader, somebody who logs in, and those who look whether web and manager live."""

    def __init__(self, system: System, image: bytes, upload: bytes) -> None:
        self._image = image
        self._upload = upload
        self._turn = 0
        password = (system.data / "admin-password").read_text().strip()
        login = urlencode({"name": "admin", "password": password}).encode()
        token = system.admin().token
        self._clients: list[Client] = []
        web, manager = system.url(), system.url("manager")
        # (who, seconds between two requests, the request, whether the answer is right)
        self._kinds: list[tuple[str, float, Callable[[], Answer], Callable[[Answer], bool]]] = [
            *(("read", 0.03, self._client(web, lambda client: client.get(HOT)), self._is_image) for _ in range(4)),
            ("upload", 0.25, self._client(web, self._put, token), lambda answer: answer.status == 201),
            *(
                (
                    f"login on {app}",
                    0.5,
                    self._client(url, lambda client: client.request("POST", "/login", body=login, headers=_FORM)),
                    lambda answer: answer.status == 303,
                )
                for app, url in (("web", web), ("manager", manager))
            ),
            *(
                (
                    f"/healthz of {app}",
                    0.1,
                    self._client(url, lambda client: client.request("GET", "/healthz")),
                    lambda answer: answer.status == 200,
                )
                for app, url in (("web", web), ("manager", manager))
            ),
        ]

    @property
    def kinds(self) -> list[str]:
        """Who they are."""
        return list(dict.fromkeys(who for who, *_ in self._kinds))

    @contextlib.contextmanager
    def asking(self) -> Iterator[Seen]:
        """They ask while the block runs."""
        seen, stop = Seen(), threading.Event()

        def go_on(who: str, pause: float, ask: Callable[[], Answer], is_right: Callable[[Answer], bool]) -> None:
            while not stop.wait(pause):
                began = time.monotonic()
                try:
                    answer = ask()
                except NoAnswer as error:
                    seen.failed[who].append(str(error))
                    continue
                seen.seconds[who].append(time.monotonic() - began)
                if not is_right(answer):
                    seen.failed[who].append(f"{answer.status} {answer.body[:200]!r}")

        threads = [threading.Thread(target=go_on, args=kind) for kind in self._kinds]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        """Close their connections."""
        for client in self._clients:
            client.close()

    def _client(self, url: str, ask: Callable[[Client], Answer], token: str | None = None) -> Callable[[], Answer]:
        client = Client(url, token)
        self._clients.append(client)
        return lambda: ask(client)

    def _put(self, client: Client) -> Answer:
        self._turn += 1
        return client.put(f"attacks/new-{time.time_ns()}-{self._turn}", self._upload)

    def _is_image(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.body == self._image
