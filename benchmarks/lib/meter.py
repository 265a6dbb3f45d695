"""Measures targets in rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import psutil

from benchmarks.lib.figures import Cost, Measurement
from benchmarks.lib.processes import machine_busy_seconds, processor_seconds
from benchmarks.lib.wrk import Load


class Cell(NamedTuple):
    """How one target is loaded in one scenario."""

    load: Callable[[int], Load]
    """Load it for that many seconds."""
    processes: Callable[[], list[psutil.Process]]
    prepare: Callable[[], object] = lambda: None
    """What has to be so before its measurement; not measured."""


def measure(cell: Cell, seconds: int) -> Measurement:
    """Load the target once, and say what that cost."""
    processes = cell.processes()
    before = time.monotonic(), machine_busy_seconds(), processor_seconds(processes), _children_seconds()
    load = cell.load(seconds)
    after = time.monotonic(), machine_busy_seconds(), processor_seconds(processes), _children_seconds()
    elapsed, busy, server, client = (now - then for now, then in zip(after, before, strict=True))
    others = max(0.0, busy - server - client) / (elapsed * (os.cpu_count() or 1))
    return Measurement(load, Cost(server, client, others))


def measure_rounds(
    cells: Mapping[str, Cell], *, rounds: int, seconds: int, warm_up_seconds: int
) -> dict[str, list[Measurement]]:
    """Each target in each round, one right after the other; who comes first changes from round to round."""
    names = list(cells)
    measured: dict[str, list[Measurement]] = {name: [] for name in names}
    for name in names:
        cells[name].prepare()
        cells[name].load(warm_up_seconds)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            cells[name].prepare()
            measured[name].append(measure(cells[name], seconds))
    return measured


def _children_seconds() -> float:
    """Processor time of the children that ended: of wrk, the only ones that end between two looks."""
    times = os.times()
    return times.children_user + times.children_system
