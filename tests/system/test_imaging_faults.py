"""kill -9 and SIGSTOP of imaging's processes in the middle of uploads and thumbnails."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import random
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image
from testing.photographs import Photograph
from testing.system import System, running
from testing.waiting import wait_for

from elastic_images.core.keys import quote_key

ROUNDS = int(os.environ.get("ELASTIC_IMAGES_FAULT_ROUNDS", "1"))
"""42 make 1,000 uploads and as many thumbnails."""
_SECONDS = 0.15
"""Between two faults."""


def broker_of(system: System) -> psutil.Process:
    def found() -> psutil.Process | None:
        return next((one for one in system.processes() if "elastic_images.imaging" in one.cmdline()), None)

    return wait_for(found, "the broker")


def descriptors(process: psutil.Process) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))  # noqa: PTH208 - a count


@contextlib.contextmanager
def faults(system: System, *, broker_too: bool) -> Iterator[Counter[str]]:
    """Kill or stop a random process of imaging every now and then."""
    done: Counter[str] = Counter()
    over, choice = threading.Event(), random.Random(5)

    def run() -> None:
        for turn in itertools.count():
            if over.wait(_SECONDS):
                return
            with contextlib.suppress(psutil.Error, IndexError):
                broker = broker_of(system)
                victims = broker.children(recursive=True)
                if broker_too and turn % 20 == 10:
                    victims = [broker]
                victim = choice.choice(victims)
                number = choice.choice([signal.SIGKILL, signal.SIGSTOP])
                victim.send_signal(number)
                done[number.name] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("broker_too", [False, True])
def test_every_answer_is_right_or_a_clear_error(
    tmp_path: Path, few: tuple[Photograph, ...], *, broker_too: bool
) -> None:
    with running(tmp_path, nodes=1, hang_seconds=3) as system:

        def use(number: int) -> list[int]:
            photograph, key = few[number % len(few)], f"fault/{number}"
            put = system.admin().put(key, photograph.body)
            assert put.status in (201, 503), put.body
            if put.status != 201:
                return [put.status]
            assert system.client().get(key).body == photograph.body
            thumb = system.client().request("GET", f"/images/{quote_key(key)}?rendition=thumb")
            assert thumb.status in (200, 503), thumb.body
            return [put.status, thumb.status]

        with ThreadPoolExecutor(4) as threads:  # as many connections as there will be
            assert set(itertools.chain.from_iterable(threads.map(use, range(-2 * len(few), 0)))) <= {200, 201}
        before = {one: descriptors(one) for one in (broker_of(system), *system.find("storage"))}
        with faults(system, broker_too=broker_too) as done, ThreadPoolExecutor(4) as threads:
            statuses = Counter(itertools.chain.from_iterable(threads.map(use, range(ROUNDS * len(few)))))
        assert done.total()
        assert statuses[201]
        wait_for(lambda: system.admin().put("after", few[0].body).status in (200, 201), "it works as before")
        if not broker_too:
            wait_for(
                lambda: all(descriptors(one) <= count + 8 for one, count in before.items()),
                "they are given back",
            )


def computing(broker: psutil.Process) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return next((one for one in broker.children(recursive=True) if one.cpu_times().user > 0.5), None)
    return None


def test_work_on_an_upload_ends_when_its_uploader_leaves(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("P", (1000, 1000)).save(stream, "GIF")
    start = stream.getvalue().index(b"\x2c\0\0\0\0")
    slow = stream.getvalue()[:start] + stream.getvalue()[start:-1] * 900 + b"\x3b"
    with running(tmp_path, nodes=1, near_cache_mb=0) as system:
        token = (system.data / "cli-token").read_text().strip()
        head = f"PUT /api/images/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(slow)}\r\n"
        head += f"Authorization: Bearer {token}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", system.port("web"))) as client:
            client.sendall(head.encode() + slow)
            broker = broker_of(system)
            busy = wait_for(
                lambda: [one for one in broker.children(recursive=True) if one.cpu_times().user > 0.3], "it works"
            )
        wait_for(lambda: not busy[0].is_running(), "its worker was killed")
        assert system.admin().metadata("slow").status == 404
