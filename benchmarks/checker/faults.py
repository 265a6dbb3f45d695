"""Faults on a seeded schedule: one process at a time is killed, or stopped and resumed, or all are replaced."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Event

import psutil
from testing.system import System

KINDS = ("memcache", "web", "storage", "autoscaler", "manager")
_WEIGHTS = (5, 3, 2, 2, 1)
_STOP_SECONDS = (0.5, 8.0)
_RELOADS = 0.1
"""How many of the faults are reloads."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one process, or a reload."""

    app: str
    action: str
    """`kill`, `stop` (SIGSTOP, and SIGCONT after `seconds`), or `reload`."""
    seconds: float
    pick: float
    """Which of the app's processes, 0 to 1."""


def schedule(seed: int) -> Iterator[Fault]:
    """Endless faults, the same for the same seed."""
    chance = random.Random(f"{seed} faults")
    while True:
        app = chance.choices(KINDS, _WEIGHTS)[0]
        action = "reload" if chance.random() < _RELOADS else chance.choice(("kill", "stop"))
        yield Fault(app, action, round(chance.uniform(*_STOP_SECONDS), 1), chance.random())


def inject(system: System, fault: Fault, stop: Event) -> str | None:
    """Inject it and return when it is over: what was done. None if the app has no process right now."""
    if fault.action == "reload":
        return "reloaded" if system.cli("reload", check=False).returncode == 0 else "reloaded in part"
    processes = system.find(fault.app)
    if not processes:
        return None
    process = processes[int(fault.pick * len(processes))]
    with contextlib.suppress(psutil.NoSuchProcess):
        if fault.action == "kill":
            process.kill()
            return f"killed {fault.app} {process.pid}"
        process.send_signal(signal.SIGSTOP)
        try:
            stop.wait(fault.seconds)
        finally:
            process.send_signal(signal.SIGCONT)
        return f"stopped {fault.app} {process.pid} for {fault.seconds} s"
    return None
