"""A steady load on a system: reads and writes on kept-alive connections, each of which is counted when it fails."""

from __future__ import annotations

import http.client
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from PIL import Image

_KEYS = 20
_WRITE_EVERY = 5


@dataclass
class SteadyLoad:
    """What happened so far. A request is never repeated, as a client's library would do."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    longest_write_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, seconds: float, failure: str | None, *, write: bool) -> None:
        """A request has ended."""
        with self._lock:
            self.requests += 1
            if failure is not None:
                self.failures.append(failure)
            if write:
                self.longest_write_seconds = max(self.longest_write_seconds, seconds)


@contextmanager
def steady_load(port: int, token: str, *, connections: int = 8, a_second: float = 50.0) -> Iterator[SteadyLoad]:
    """Send requests to web while the block runs, one in five of them a write.

    Each connection has images of its own, and checks that it reads what it last wrote.
    """
    load, stop = SteadyLoad(), threading.Event()
    threads = [
        threading.Thread(target=_client, args=(load, stop, port, token, number, connections / a_second))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _client(load: SteadyLoad, stop: threading.Event, port: int, token: str, number: int, pause_seconds: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    written: dict[str, bytes] = {}
    due = time.monotonic()
    turn = 0
    while not stop.is_set():
        key = f"load-{number}-{turn // _WRITE_EVERY % _KEYS}"
        write = turn % _WRITE_EVERY == 0
        body = _image(turn) if write else None
        started = time.monotonic()
        failure = _send(connection, token, key, body, written.get(key))
        load.note(time.monotonic() - started, failure, write=write)
        if failure is not None:
            connection.close()
            written.pop(key, None)
        elif body is not None:
            written[key] = body
        turn += 1
        due = max(due + pause_seconds, time.monotonic() - 1.0)
        stop.wait(max(0.0, due - time.monotonic()))
    connection.close()


def _send(
    connection: http.client.HTTPConnection, token: str, key: str, body: bytes | None, expected: bytes | None
) -> str | None:
    """Make one request. Returns what went wrong."""
    method, path = ("GET", f"/images/{key}") if body is None else ("PUT", f"/api/images/{key}")
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}"} if body is not None else {})
        answer = connection.getresponse()
        received = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{method} {key}: {error!r}"
    if answer.status not in ((200, 201) if expected is not None or body is not None else (200, 404)):
        return f"{method} {key}: {answer.status} {received[:200]!r}"
    if body is None and expected is not None and received != expected:
        return f"{method} {key}: stale bytes"
    return None


def _image(number: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 0)).save(made, "PNG")
    return made.getvalue()
