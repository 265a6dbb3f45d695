"""Progress of long work: a bar on a terminal, a line a minute elsewhere, both on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from elastic_images.cli.output import amount

R = TypeVar("R")
Advance = Callable[[int, int], None]
_LINE_SECONDS = 60.0


@contextmanager
def progress(label: str, shown: Callable[[int], str] = amount) -> Iterator[Advance]:
    """Gives a function to call, from any thread, with what was done since the last call, and the whole (0: unknown).

    `shown`: how an amount is written, by default as bytes.
    """
    if not sys.stderr.isatty():
        yield _Lines(label, shown)
        return
    lock = threading.Lock()
    with click.progressbar(length=0, label=label, file=sys.stderr, show_pos=shown is not amount) as bar:

        def advance(done: int, whole: int) -> None:
            with lock:
                bar.length = whole or None
                bar.update(done)

        yield advance


def counted(results: Iterator[R], label: str, count: Callable[[], int]) -> Iterator[R]:
    """The same results, with their progress. `count`, the whole, is called only for a bar."""
    whole = count() if sys.stderr.isatty() else 0
    with progress(label, "{:,}".format) as advance:
        for result in results:
            yield result
            advance(1, whole)


class _Lines:
    """A line a minute, the first one after a minute."""

    def __init__(self, label: str, shown: Callable[[int], str]) -> None:
        self._label = label
        self._shown = shown
        self._lock = threading.Lock()
        self._done = 0
        self._next_at = time.monotonic() + _LINE_SECONDS

    def __call__(self, done: int, whole: int) -> None:
        with self._lock:
            self._done += done
            if time.monotonic() < self._next_at:
                return
            self._next_at += _LINE_SECONDS
            share = f" of {self._shown(whole)} ({self._done / whole:.0%})" if whole else ""
            click.echo(f"{self._label}: {self._shown(self._done)}{share}", err=True)
