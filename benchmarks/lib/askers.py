"""Clients of good will: threads that ask again and again, how long that took, and what failed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from testing.background import beside
from testing.client import Answer


class Asker(NamedTuple):
    """One who asks. Several may have the same name: they are counted together."""

    who: str
    pause_seconds: float
    """Between an answer and the next request."""
    ask: Callable[[], Answer]
    is_right: Callable[[Answer], bool]


class Seen:
    """The answers while they asked."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        """How long each answer took."""
        self.failed: dict[str, list[str]] = defaultdict(list)
        """What was wrong, or that there was no answer."""
        self.unanswered: dict[str, int] = defaultdict(int)

    def asked(self, who: str) -> int:
        """How many requests there were."""
        return len(self.seconds[who]) + self.unanswered[who]

    def p99_ms(self, who: str) -> float:
        """The 99th percentile of how long answers took."""
        taken = sorted(self.seconds[who])
        return taken[min(len(taken) - 1, len(taken) * 99 // 100)] * 1000 if taken else float("inf")


@contextlib.contextmanager
def asking(askers: Sequence[Asker]) -> Iterator[Seen]:
    """They ask while the block runs."""
    seen, stop = Seen(), threading.Event()

    def go_on(asker: Asker) -> None:
        while not stop.wait(asker.pause_seconds):
            began = time.monotonic()
            try:
                answer = asker.ask()
            except OSError as error:
                seen.unanswered[asker.who] += 1
                seen.failed[asker.who].append(str(error))
                continue
            seen.seconds[asker.who].append(time.monotonic() - began)
            if not asker.is_right(answer):
                seen.failed[asker.who].append(f"{answer.status} {answer.body[:200]!r}")

    with beside(stop, *(partial(go_on, asker) for asker in askers)):
        yield seen
