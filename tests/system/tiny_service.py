"""A process that serves a few paths by `server.run`: `python tiny_service.py '{"port": 0, ...}'`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from elastic_images.core.errors import ElasticImagesError
from elastic_images.process import logs, server
from elastic_images.settings.model import forget_environment

CONTROL_PORT = 4242


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise ValueError("ei_HIDDEN0123456789")
    body = b"hello"
    if path == "/upload":
        body = str(sum(len(chunk) for chunk in iter(lambda: environ["wsgi.input"].read(65536), b""))).encode()
    elif path == "/slow":
        say("slow began")
        time.sleep(1.0)
    elif path == "/environ":
        body = json.dumps([name for name in environ if name.startswith("ELASTIC_IMAGES")]).encode()
    elif path == "/pid":
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class TinyService:
    """Says what is done with it."""

    def __init__(self, stop: str, leave_seconds: float) -> None:
        self.wsgi = answer
        self.control_port = CONTROL_PORT
        self._stop = stop
        self._leave_seconds = leave_seconds

    def start(self, bound: server.Bound) -> None:
        say(f"start {bound.address}")

    def leave(self) -> None:
        time.sleep(self._leave_seconds)
        say("left")

    def stop(self) -> None:
        say("stop")
        if self._stop == "fails":
            raise ValueError("stopping failed")
        if self._stop == "hangs":
            threading.Event().wait()


def main() -> None:
    options = json.loads(sys.argv[1])
    logs.setup("tiny")
    forget_environment()
    service = TinyService(options.pop("stop", "works"), options.pop("leave_seconds", 0.0))
    try:
        code = server.run(service, options.pop("host", "127.0.0.1"), options.pop("port", 0), **options)
    except ElasticImagesError as error:
        say(f"{type(error).__name__}: {error}")
        code = 1
    server.leave(code)


if __name__ == "__main__":
    main()
