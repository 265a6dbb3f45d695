"""Brings the pool to its wanted state: reads where it stands, plans, takes a step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from elastic_images.autoscaler.config_store import ConfigStore
from elastic_images.autoscaler.fencing_policy import FencingPolicy
from elastic_images.autoscaler.health import Health
from elastic_images.autoscaler.journal import Journal
from elastic_images.autoscaler.loss_bound import LossBound
from elastic_images.autoscaler.nodes.process_history import ProcessHistory
from elastic_images.autoscaler.nodes.provider import NodeProvider
from elastic_images.autoscaler.plan import Facts, MapChange, Plan, plan, unsettled_slots
from elastic_images.autoscaler.warming import Warmer
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.events import Event
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import PoolView
from elastic_images.process.periodic import PeriodicLoop

_log = logging.getLogger(__name__)
DRAIN_SECONDS = 5.0
_BUSY_PAUSE_SECONDS = 0.03
_IDLE_PAUSE_SECONDS = 0.25
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ResizerStatus:
    """The state after the last step. Numbers are slots."""

    running: frozenset[int] = frozenset()
    ready: frozenset[int] = frozenset()
    stopping: frozenset[int] = frozenset()
    wanted: int = 0
    """The wanted size."""
    epoch: int = 0
    busy: bool = True
    """Something is under way or awaited."""


@dataclass(slots=True)
class _Resize:
    """The resize under way, remembered while the map has its epoch."""

    epoch: int
    seen_at: float
    wanted: int | None


class Resizer:
    """Reconciles the pool with its wanted size.

    Not safe for concurrent access. Everything that must outlive this process is in the map and the journal, so a new
    Resizer continues where one was killed.

    Args:
        store: the map and the members.
        config_store: holds the wanted size.
        provider: launches and terminates nodes.
        health: which nodes respond.
        warmer: decides when an open resize may be closed.
        on_change: called after every change of the map.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        store: PoolStore,
        config_store: ConfigStore,
        journal: Journal,
        provider: NodeProvider,
        health: Health,
        warmer: Warmer,
        *,
        history: ProcessHistory | None = None,
        fencing: FencingPolicy | None = None,
        on_change: Callable[[MapChange], None] = lambda _change: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._config_store = config_store
        self._journal = journal
        self._provider = provider
        self._health = health
        self._warmer = warmer
        self._history = history or ProcessHistory(provider.start_seconds, provider.silence_seconds)
        self._fencing = fencing or FencingPolicy()
        self._losses = LossBound()
        self._given_up: frozenset[int] = frozenset()
        self._on_change = on_change
        self._clock = clock
        self._retry_at_once = threading.Event()
        self._cold = True
        self._resize: _Resize | None = None
        self._status = ResizerStatus()
        self._acted = False

    @property
    def status(self) -> ResizerStatus:
        """The state after the last step. Safe to read from any thread."""
        return self._status

    def figures(self) -> dict[str, int]:
        """For `/metrics`. Safe to call from any thread, as `status` is."""
        status = self.status
        return {"epoch": status.epoch, "nodes": len(status.ready), "wanted_nodes": status.wanted}

    @property
    def pause_seconds(self) -> float:
        """How long to pause before the next step."""
        if self._acted:
            return 0.0
        return _BUSY_PAUSE_SECONDS if self._status.busy else _IDLE_PAUSE_SECONDS

    def retry_at_once(self) -> None:
        """The settings changed: the next step starts nodes that are waiting for a retry. Call it from any thread."""
        self._retry_at_once.set()

    def adopt(self) -> None:
        """Take over the nodes that are alive. Call it once, before the first step."""
        adopted = self._provider.adopt()
        if adopted:
            _log.info("nodes adopted: %s", ", ".join(str(slot) for slot in sorted(adopted)))

    def step(self) -> bool:
        """Do what is due now. True if something was done, so there may be more. Raises SQLAlchemy's errors."""
        self._acted = self._step()
        return self._acted

    def _step(self) -> bool:
        if self._retry_at_once.is_set():
            self._retry_at_once.clear()
            self._history.retry_at_once()
        # Members are read first: one in the view whose slot is then proven empty is dead.
        view = self._store.read()
        alive = self._provider.alive()
        now = self._clock()
        if not view.config:
            self._config_store.keep_first()
            return True
        if self._bury(view, alive) or self._judge(view, alive, now):
            return True
        self._observe(view, alive, now)
        facts = self._facts(view, alive, now)
        planned = plan(facts)
        epoch = view.map.epoch if view.map else 0
        self._status = ResizerStatus(alive, facts.ready, facts.stopping, facts.wanted, epoch, planned.waiting)
        done = self._handle_processes(planned, now)
        return (planned.change is not None and self._apply(planned.change, view, facts.wanted)) or done

    # ---- members

    def _bury(self, view: PoolView, alive: frozenset[int]) -> bool:
        """Mark members dead whose process is proven gone. Without proof, `_judge` fences them for being silent."""
        if not self._provider.proves_death:
            return False
        dead = [member for member in view.members if member.slot is not None and member.slot not in alive]
        for member in dead:
            self._store.mark_dead(member.incarnation)
        self._journal.note(
            *(Event("node-dead", member.slot, incarnation=member.incarnation, cause="process-gone") for member in dead)
        )
        return bool(dead)

    def _judge(self, view: PoolView, alive: frozenset[int], now: float) -> bool:
        """Fence members that keep the pool waiting, and give up those fenced long enough ago."""
        nodes = [member for member in view.members if member.slot is not None]
        self._health.observe(nodes)
        closing = view.map is not None and view.map.phase == "closing"
        decision = self._fencing.judge(
            nodes,
            epoch=view.map.epoch if view.map else 0,
            must_name=unsettled_slots(view.map) if view.map and closing else frozenset(),
            suspects=self._health.suspects(),
            now=now,
        )
        gone = self._fencing.gone()
        silent = {
            member.slot
            for member in nodes
            if member.slot is not None and (member in decision.fence or member.incarnation in gone)
        }
        self._given_up = self._losses.admit(
            silent | _silent_readers(view, alive) | self._history.overdue(now),
            len(view.map.slots) if view.map else 1,
            now,
        )
        events = [
            Event("node-fenced", member.slot, incarnation=member.incarnation)
            for member in decision.fence
            if member.slot in self._given_up and self._store.fence(member.incarnation)
        ]
        events += [
            Event("node-dead", member.slot, incarnation=member.incarnation, cause="lease-expired")
            for member in decision.dead
            if self._store.mark_dead(member.incarnation)
        ]
        self._journal.note(*events)
        return bool(events)

    def _observe(self, view: PoolView, alive: frozenset[int], now: float) -> None:
        failures = self._provider.take_failures()
        for slot, why in sorted(failures.items()):
            self._not_launched(slot, why, now)
        # A launch may have failed after it was counted as alive.
        alive -= failures.keys()
        live = {slot: member for slot in alive if (member := view.live_node(slot))}
        healthy = {slot for slot, member in live.items() if self._health.healthy(member.incarnation)}
        self._journal.note(*self._history.observe(alive, live.keys(), healthy, now))

    # ---- facts

    def _facts(self, view: PoolView, alive: frozenset[int], now: float) -> Facts:
        stopping = self._history.stopping()
        ready = self._history.ready()
        nodes = [member for member in view.members if member.slot is not None]
        epoch = view.map.epoch if view.map else 0
        config = self._config_store.of(view.config)
        wanted = config.num_nodes
        resize = self._remember_resize(view, now)
        awaited = self._history.awaited() - ready
        gone = self._fencing.gone()
        members = frozenset(member.slot for member in nodes if member.slot is not None)
        doubtful = (members | _silent_readers(view, alive) - self._given_up) - ready
        self._cold = not ready or (self._cold and bool(frozenset(range(wanted)) & awaited))
        return Facts(
            map=view.map,
            wanted=wanted,
            ready=ready,
            doubtful=doubtful,
            fenced=(doubtful & self._given_up) - {member.slot for member in nodes if member.incarnation not in gone},
            unnamed=frozenset(member.slot for member in nodes if member.slot is not None and member.epoch < epoch),
            processes=alive,
            startable=self._history.startable(now),
            awaited=awaited,
            stopping=stopping,
            cold=self._cold,
            warmed=resize is None or self._warmer.warmed(view, now - resize.seen_at),
            resize_wanted=resize.wanted if resize else None,
            assignment=config.assignment,
        )

    def _remember_resize(self, view: PoolView, now: float) -> _Resize | None:
        if view.map is None or view.map.phase != "open":
            self._resize = None
        elif self._resize is None or self._resize.epoch != view.map.epoch:
            row = self._journal.under_way()
            self._resize = _Resize(view.map.epoch, now, row["wanted"] if row else None)
        return self._resize

    # ---- actions

    def _handle_processes(self, planned: Plan, now: float) -> bool:
        for slot in sorted(self._history.overdue(now) & self._given_up):
            self._kill(slot)
        retired = self._history.lingered(planned.retire, now)
        for slot in sorted(retired):
            self._retire(slot)
        for slot in sorted(planned.launch):
            self._launch(slot, now)
        return bool(retired or planned.launch)

    def _launch(self, slot: int, now: float) -> None:
        try:
            self._provider.launch(slot)
        except ElasticImagesError as error:
            self._not_launched(slot, str(error), now)
            return
        self._history.launched(slot, now)
        self._journal.note(Event("node-launched", slot))

    def _not_launched(self, slot: int, why: str, now: float) -> None:
        self._history.not_launched(slot, now)
        self._journal.note(Event("node-not-launched", slot, reason=why))

    def _retire(self, slot: int) -> None:
        self._provider.terminate(slot, DRAIN_SECONDS)
        self._history.told_to_stop(slot)
        self._journal.note(Event("node-stopping", slot))

    def _kill(self, slot: int) -> None:
        self._provider.terminate(slot, 0)
        self._history.killed(slot)
        self._journal.note(Event("node-killed", slot))

    def _apply(self, change: MapChange, view: PoolView, wanted: int) -> bool:
        expected = view.map.epoch if view.map else None
        journal = self._journal.record(change, view.map, wanted)
        if not self._store.compare_and_set_map(expected, change.new, journal):
            _log.warning("the pool map was changed by another process; reading it again")
            return True
        _log.info("epoch %d, %s: %s", change.new.epoch, change.kind, change.reason)
        self._on_change(change)
        return True


def _silent_readers(view: PoolView, alive: frozenset[int]) -> frozenset[int]:
    """Slots that serve by the map and have a process, but no live incarnation."""
    if view.map is None:
        return frozenset()
    readers = {slot for state in view.map.partitions for slot in state.readers}
    return frozenset(slot for slot in readers & alive if view.live_node(slot) is None)


def resizer_loop(resizer: Resizer) -> PeriodicLoop:
    """The thread that `resizer` works on: fast while something is under way, otherwise four times a second."""
    return PeriodicLoop(
        "resizer",
        resizer.step,
        lambda: resizer.pause_seconds,
        retry_seconds=_RETRY_SECONDS,
        expected_errors=(ElasticImagesError, OperationalError),
    )
