"""Many whole requests at a time, in a process of their own: `python -m benchmarks.attacks.flood '{"port": ...}'`.

They come from other addresses than the clients of good will, and go on until standard input ends.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_ANSWER_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Flood:
    """What they send."""

    port: int
    at_once: int
    folder: str
    """Its files are the requests, each whole; they are sent one after another, again and again."""
    sources: tuple[str, ...] = ("127.0.0.2",)
    pause_seconds: float = 0.01


def run(flood: Flood) -> None:
    """Send until standard input ends."""
    requests = [path.read_bytes() for path in sorted(Path(flood.folder).iterdir())]
    numbers, over = count(), threading.Event()

    def go_on(source: str) -> None:
        while not over.wait(flood.pause_seconds):
            with contextlib.suppress(OSError), socket.socket() as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.bind((source, 0))
                connection.connect(("127.0.0.1", flood.port))
                connection.sendall(requests[next(numbers) % len(requests)])
                while connection.recv(65_536):
                    pass

    for number in range(flood.at_once):
        threading.Thread(target=go_on, args=[flood.sources[number % len(flood.sources)]], daemon=True).start()
    print("here", flush=True)
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    run(Flood(**json.loads(sys.argv[1])))
