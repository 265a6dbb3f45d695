"""Progress of long work: a bar on a terminal, a line a minute elsewhere, both on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from elastic_images.cli.output import amount

Report = Callable[[int, int], None]
_LINE_SECONDS = 60.0


@contextmanager
def bytes_progress(label: str) -> Iterator[Report]:
    """Gives a function to call, from any thread, with the bytes done since the last call and all bytes."""
    if sys.stderr.isatty():
        with click.progressbar(length=0, label=label, file=sys.stderr) as bar:
            lock = threading.Lock()

            def advance(done: int, total: int) -> None:
                with lock:
                    bar.length = total
                    bar.update(done)

            yield advance
        return
    yield _Lines(label)


class _Lines:
    """A line a minute, the first one after a minute."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._lock = threading.Lock()
        self._done = 0
        self._next_at = time.monotonic() + _LINE_SECONDS

    def __call__(self, done: int, total: int) -> None:
        with self._lock:
            self._done += done
            if time.monotonic() < self._next_at:
                return
            self._next_at += _LINE_SECONDS
            share = self._done / total if total else 1.0
            click.echo(f"{self._label}: {amount(self._done)} of {amount(total)} ({share:.0%})", err=True)
