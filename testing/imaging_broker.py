"""A broker in a thread of the test, with its template and workers as real processes."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psutil

from elastic_images.imaging.broker import Broker
from elastic_images.imaging.client import ImagingClient
from elastic_images.imaging.limits import Limits
from elastic_images.process.stop_signals import StopSignals
from elastic_images.process.unix_sockets import listen
from testing.waiting import wait_for

MEGABYTE = 1_000_000


class _Signals:
    """Stands in for `StopSignals`, which is for the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self.replaced = False
        self._reader, self._writer = socket.socketpair()

    def fileno(self) -> int:
        return self._reader.fileno()

    def drain(self) -> None:
        while select.select([self._reader], [], [], 0)[0]:
            self._reader.recv(100)

    def wake(self) -> None:
        self._writer.send(b".")

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class RunningBroker:
    """A broker and a client of it."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.path = folder / "imaging.sock"
        self.client = ImagingClient(self.path)
        self.signals = _Signals()
        self._listener = listen(self.path)
        options: Any = {"memory_bytes": 512 * MEGABYTE, "limits": Limits(), "places": 2} | given
        self.broker = Broker(self._listener, **options)
        self._thread = threading.Thread(target=self.broker.run, args=[cast(StopSignals, self.signals)])
        self._thread.start()

    def processes(self) -> list[psutil.Process]:
        """The template and the workers that are left, zombies apart."""
        children = psutil.Process().children(recursive=True)
        return [child for child in children if "imaging.template" in " ".join(_command(child))]

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.processes() if child.ppid() != psutil.Process().pid]

    def template(self) -> psutil.Process:
        return next(child for child in self.processes() if child.ppid() == psutil.Process().pid)

    def figures(self) -> Any:
        return self.client.figures(10)

    def is_idle(self) -> bool:
        figures = self.figures()
        return (figures["busy"], figures["waiting"], figures["admitted_bytes"]) == (0, 0, 0)

    def replace(self) -> None:
        self.signals.replaced = True
        self.signals.wake()

    def stop(self) -> None:
        self.client.close()
        self.signals.count = 1
        self.signals.wake()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._listener.close()
        self.signals.close()
        wait_for(lambda: not self.processes(), "no process is left")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def running_broker(folder: Path, **options: Any) -> Iterator[RunningBroker]:
    found = RunningBroker(folder, **options)
    try:
        yield found
    finally:
        found.stop()


def soon(seconds: float = 60.0) -> float:
    """A deadline."""
    return time.monotonic() + seconds


def started(act: Callable[[], object]) -> tuple[threading.Thread, list[Any]]:
    """Run `act` in a thread, which appends what comes of it: a value or an exception."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(act())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome
