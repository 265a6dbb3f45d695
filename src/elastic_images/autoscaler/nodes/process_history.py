"""The history of each slot's process: starts, failures, silence. Rules only; it acts on nothing and has no clock."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field

from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.events import Event

START_SECONDS = 30.0
"""How long a process may take from its start until it is registered and healthy."""
SILENCE_SECONDS = 10.0
"""How long a node that was ready may be without a live incarnation before it is killed."""
STEADY_SECONDS = 60.0
"""After a node has been ready for this long, its failures are forgotten."""
MAX_PAUSE_SECONDS = 30.0
LINGER_SECONDS = 2.0
"""How long an unwanted node stays: callers with an old map get a quick "not mine" from it."""
AWAITED_FAILURES = 1
"""How many failures in a row before the pool stops waiting for a node."""


@dataclass(slots=True)
class _Slot:
    running: bool = False
    was_ready: bool = False
    ready_since: float | None = None
    silent_since: float | None = None
    surplus_since: float | None = None
    stopping: bool = False
    given_up: bool = False
    failures: int = 0
    start_at: float = 0.0


@dataclass(slots=True)
class ProcessHistory:
    """The history of all slots' processes. Times are seconds by one clock. Not safe to share between threads."""

    start_seconds: float = START_SECONDS
    silence_seconds: float = SILENCE_SECONDS
    linger_seconds: float = LINGER_SECONDS
    _slots: list[_Slot] = field(default_factory=lambda: [_Slot() for _ in range(MAX_NODES)])

    def observe(self, running: Set[int], live: Set[int], healthy: Set[int], now: float) -> list[Event]:
        """Record which slots have a process, a live incarnation, and a healthy one. Returns what changed."""
        events = []
        for number, slot in enumerate(self._slots):
            if slot.running and number not in running:
                events.append(Event("node-died", number))
                self._ended(slot, now)
            slot.running = number in running
            if not slot.running:
                continue
            if number in healthy and not slot.was_ready:
                events.append(Event("node-ready", number))
            self._heard(slot, live=number in live, healthy=number in healthy, now=now)
        return events

    def _heard(self, slot: _Slot, *, live: bool, healthy: bool, now: float) -> None:
        slot.was_ready = slot.was_ready or healthy
        quiet = not (live if slot.was_ready else healthy)
        slot.silent_since = (now if slot.silent_since is None else slot.silent_since) if quiet else None
        if not healthy:
            slot.ready_since = None
        elif slot.ready_since is None:
            slot.ready_since = now
        elif now - slot.ready_since >= STEADY_SECONDS:
            slot.failures = 0

    def _ended(self, slot: _Slot, now: float) -> None:
        meant = slot.stopping and not slot.given_up
        failures = slot.failures if meant else slot.failures + 1
        pause = 0.0 if failures <= AWAITED_FAILURES else min(2.0 ** (failures - 2), MAX_PAUSE_SECONDS)
        self._reset(slot, failures=failures, start_at=now if meant else now + pause)

    @staticmethod
    def _reset(slot: _Slot, *, failures: int, start_at: float) -> None:
        slot.running = slot.was_ready = slot.stopping = slot.given_up = False
        slot.ready_since = slot.silent_since = slot.surplus_since = None
        slot.failures, slot.start_at = failures, start_at

    def launched(self, slot: int, now: float) -> None:
        """A process was started: it counts as running until it is seen to be gone."""
        life = self._slots[slot]
        self._reset(life, failures=life.failures, start_at=now)
        life.running, life.silent_since = True, now

    def not_launched(self, slot: int, now: float) -> None:
        """No process could be started."""
        self._ended(self._slots[slot], now)

    def told_to_stop(self, slot: int) -> None:
        """The process was told to stop because it is not wanted; its end is not a failure."""
        self._slots[slot].stopping = True

    def killed(self, slot: int) -> None:
        """The process was killed because it was silent; that is a failure."""
        self._slots[slot].stopping = self._slots[slot].given_up = True

    def retry_at_once(self) -> None:
        """Cancel all pauses before the next start: the settings have changed."""
        for slot in self._slots:
            slot.start_at = 0.0

    def startable(self, now: float) -> frozenset[int]:
        """Slots without a process whose next start is due."""
        return self._where(lambda slot: not slot.running and now >= slot.start_at)

    def ready(self) -> frozenset[int]:
        """Slots whose node is healthy and was not told to stop."""
        return self._where(lambda slot: slot.ready_since is not None and not slot.stopping)

    def awaited(self) -> frozenset[int]:
        """Slots that are worth waiting for: not yet failed twice in a row, and not fallen silent."""
        return self._where(
            lambda slot: slot.failures <= AWAITED_FAILURES and not (slot.was_ready and slot.silent_since is not None)
        )

    def stopping(self) -> frozenset[int]:
        """Slots whose process was told to stop."""
        return self._where(lambda slot: slot.stopping)

    def overdue(self, now: float) -> frozenset[int]:
        """Slots whose process was silent for too long and should be killed."""
        return self._where(
            lambda slot: (
                slot.running
                and not slot.stopping
                and slot.silent_since is not None
                and now - slot.silent_since >= (self.silence_seconds if slot.was_ready else self.start_seconds)
            )
        )

    def lingered(self, surplus: Set[int], now: float) -> frozenset[int]:
        """Those of `surplus`, the unwanted slots, that have been unwanted long enough to be stopped."""
        for number, slot in enumerate(self._slots):
            if number not in surplus:
                slot.surplus_since = None
            elif slot.surplus_since is None:
                slot.surplus_since = now
        return self._where(
            lambda slot: (
                slot.surplus_since is not None
                and (not slot.was_ready or now - slot.surplus_since >= self.linger_seconds)
            )
        )

    def _where(self, holds: Callable[[_Slot], bool]) -> frozenset[int]:
        return frozenset(number for number, slot in enumerate(self._slots) if holds(slot))
