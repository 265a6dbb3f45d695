"""No read that starts after an acknowledged write returns older bytes: through resizes, kills and hangs."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from PIL import Image
from testing.background import beside
from testing.client import Client, NoAnswer
from testing.system import System, is_alive
from testing.waiting import wait_for
from tests.system.conftest import StartSystem

DELETE_EVERY = 9


def numbered(key: int, number: int) -> bytes | None:
    """The content of a key's write of that number: a small image of its own, or None for a deletion."""
    if number % DELETE_EVERY == DELETE_EVERY - 1:
        return None
    image = Image.new("RGB", (2, 2), (key, number >> 8, number & 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(slots=True)
class History:
    """One key, written by one writer. A read may see any write from the last acknowledged one on that was begun."""

    key: int
    acknowledged: int = -1
    contents: list[bytes | None] = field(default_factory=list)
    """Of each write that was begun."""

    @property
    def name(self) -> str:
        return f"history/{self.key}"

    def write(self, client: Client) -> bool:
        """The next write; whether it was acknowledged."""
        number = len(self.contents)
        content = numbered(self.key, number)
        self.contents.append(content)
        try:
            answer = client.delete(self.name) if content is None else client.put(self.name, content)
        except NoAnswer:
            return False
        # What is not there, after a write that was not acknowledged, cannot be deleted.
        if answer.status in (200, 201, 204, 404):
            self.acknowledged = number
            return True
        assert answer.status == 503, (answer.status, answer.body)
        return False

    def read(self, client: Client) -> str | None:
        """What was wrong with a read, or None."""
        floor = self.acknowledged
        try:
            answer = client.get(self.name)
        except NoAnswer:
            return None
        if answer.status == 503:
            return None
        content = answer.body if answer.status == 200 else None
        if content in self.contents[max(floor, 0) :] or (floor < 0 and content is None):
            return None
        older = [number for number, known in enumerate(self.contents[:floor]) if known == content]
        return f"{self.name}: write {floor} was acknowledged, {older[-1:] or answer.status} came from {answer.cache}"


@dataclass(slots=True)
class Traffic:
    """Writers and readers at work, and what they saw."""

    histories: list[History]
    stale: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    writes: int = 0
    reads: int = 0

    def wait_for_more(self, writes: int = 60, reads: int = 200) -> None:
        """Return after so many further acknowledged writes and reads."""
        goal = self.writes + writes, self.reads + reads
        wait_for(
            lambda: self.stale or self.errors or (self.writes >= goal[0] and self.reads >= goal[1]),
            f"{writes} more writes and {reads} more reads",
            seconds=60,
        )


@contextlib.contextmanager
def traffic(clients: list[Client], *, keys: int = 6, writers: int = 2) -> Iterator[Traffic]:
    """Write and read these keys, each reader by a client of its own, while the block runs."""
    seen = Traffic([History(key) for key in range(keys)])
    stop = threading.Event()

    def write(mine: list[History]) -> None:
        while not stop.is_set():
            for history in mine:
                seen.writes += history.write(clients[0])

    def read(client: Client) -> None:
        while not stop.is_set():
            for history in seen.histories:
                wrong = history.read(client)
                seen.reads += 1
                if wrong is not None:
                    seen.stale.append(wrong)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  (told by the test)
            seen.errors.append(repr(error))

    work = [partial(write, seen.histories[number::writers]) for number in range(writers)]
    work += [partial(read, client) for client in clients]
    with beside(stop, *(partial(guarded, one) for one in work)):
        yield seen
    assert not seen.errors
    assert not seen.stale


def is_resizing(system: System) -> bool:
    pool = system.pool()
    return pool["phase"] != "settled" or pool["resize"] is not None


def test_no_read_is_older_than_the_last_acknowledged_write(start_system: StartSystem) -> None:
    # Two web processes, each with a near cache; a client of its own for each reader spreads them over both.
    system = start_system(nodes=1, web_processes=2)
    token = system.admin().token
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(Client(system.url(), token))) for _ in range(4)]
        seen = stack.enter_context(traffic(clients))
        for nodes in (3, 5, 2):
            system.scale(nodes)
            seen.wait_for_more()
        system.kill(system.node(1))
        seen.wait_for_more()
        # A resize whose autoscaler is killed in the middle goes on, and is coherent all the while.
        # It begins once its nodes have started.
        system.autoscaler().update_config({"num_nodes": 5})
        wait_for(partial(is_resizing, system), "the resize began", seconds=180, every=0.01)
        for victim in system.find("autoscaler"):
            system.kill(victim)
        system.wait_settled(5)
        seen.wait_for_more()
        hung = system.node(2)
        hung.suspend()
        wait_for(lambda: not is_alive(hung), "the hung node is replaced")
        seen.wait_for_more()
        for victim in system.find("storage"):
            system.kill(victim)
        seen.wait_for_more()
        system.kill(system.find("web")[0])
        seen.wait_for_more()
        system.scale(1)
        seen.wait_for_more()
    # The last acknowledged write of each key, or a later one, is what is kept.
    for history in seen.histories:
        assert history.read(system.client()) is None
