"""Child processes: started, found, weighed and stopped by their ids."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02


class StartFailed(Exception):
    """A process ended, or did not become ready. The message has what it printed."""


def user_name() -> str:
    """The user whom this runs as."""
    return pwd.getpwuid(os.geteuid()).pw_name


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that only this user's SO_REUSEPORT sockets can bind to while the block runs."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextlib.contextmanager
def child(
    command: Sequence[str], log: Path, ready: Callable[[], bool], *, environ: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A process that is ready, and is stopped at the end of the block.

    Raises:
        StartFailed: it ended, or was not ready within 15 s.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_ready(process, log, ready)
        yield psutil.Process(process.pid)
    finally:
        _stop(process)


def _wait_ready(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(_POLL_SECONDS)
    raise StartFailed(f"{process.args!r} is not ready:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


def answers(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def with_children(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that descend from it."""
    return [process, *process.children(recursive=True)]


def pss_bytes(processes: Iterable[psutil.Process]) -> int:
    """The total proportional set size: the memory they use, shared pages counted once. Linux only."""
    return sum(process.memory_full_info().pss for process in processes)


def processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time that the processes have spent so far; those that are gone count as 0."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def machine_busy_seconds() -> float:
    """Processor time that the whole machine has spent so far, on anything."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "irq", 0) + getattr(times, "softirq", 0))


def app_name(words: Sequence[str]) -> str:
    """`web` of `... elastic-images serve web --ready-fd 9`; `supervisor` of what neither serves nor does imaging."""
    if "elastic_images.imaging" in words:
        return "imaging"
    if "serve" not in words:
        return "supervisor"
    app = words[words.index("serve") + 1]
    slots = [words[place + 1] for place, word in enumerate(words[:-1]) if word == "--slot"]
    return " ".join([app, *slots])
