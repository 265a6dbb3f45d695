"""SIGSTOP of one app after the other, while people read and write: each is replaced, and no read gets wrong bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from testing.background import beside
from testing.client import Client, NoAnswer
from testing.photographs import Photograph
from testing.system import System, is_alive, running
from testing.waiting import wait_for

from elastic_images.supervisor import hangs

WRITERS = 3
REPLACED_SECONDS = 120.0
"""It takes about ten seconds; on a starved machine much longer."""


@dataclass(slots=True)
class Checked:
    """What writers saw, each of whom reads what it wrote. Thread-safe: each adds to lists only."""

    wrong: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    def wait_for_more(self, number: int = 30) -> None:
        writes, reads = len(self.written) + number, len(self.read) + number
        wait_for(
            lambda: (len(self.written) >= writes and len(self.read) >= reads) or self.wrong,
            f"{number} more writes and reads",
            seconds=REPLACED_SECONDS,
        )


@contextlib.contextmanager
def write_and_read(writer: Client, reader: Client, photographs: tuple[Photograph, ...]) -> Iterator[Checked]:
    """Replace a few keys all the time, and read each back. A write without an answer may have taken effect or not."""
    checked, stop = Checked(), threading.Event()

    def work(number: int) -> None:
        key, turn = f"replaced/{number}", 0
        possible: set[bytes] = set()
        while not stop.is_set():
            turn += 1
            body = photographs[(number + turn) % len(photographs)].body
            possible.add(body)
            with contextlib.suppress(NoAnswer):
                if writer.put(key, body).status in (200, 201):
                    possible = {body}
                    checked.written.append(key)
            with contextlib.suppress(NoAnswer):
                answer = reader.get(key)
                if answer.status == 200:
                    checked.read.append(key)
                    if answer.body not in possible:
                        checked.wrong.append(f"{key}, turn {turn}")

    with beside(stop, *(partial(work, number) for number in range(WRITERS))):
        yield checked


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of two nodes."""
    with running(tmp_path_factory.mktemp("pair"), nodes=2) as system:
        yield system


@pytest.mark.skipif(not hangs.supported(), reason="this system does not tell what a process does")
@pytest.mark.parametrize("app", ["storage", "web", "autoscaler", "manager"])
def test_a_stopped_app_is_replaced_under_load(pair: System, few: tuple[Photograph, ...], app: str) -> None:
    (victim,) = pair.find(app)
    others = {process.pid for process in pair.processes()} - {victim.pid}
    with write_and_read(pair.admin(), pair.client(), few) as checked:
        checked.wait_for_more()
        victim.suspend()
        wait_for(lambda: not is_alive(victim) and pair.find(app), f"{app} is replaced", seconds=REPLACED_SECONDS)
        wait_for(lambda: pair.client(app="manager").readyz() == 200, "the manager answers")
        checked.wait_for_more()
    pair.wait_settled(2)
    assert not checked.wrong
    assert f"{app} hangs (stopped for" in pair.log_path.read_text()
    assert others <= {process.pid for process in pair.processes()}, "nobody else is replaced"
