"""A pool without processes: the real database, map, members, journal and resizer; simulated nodes and time.

The nodes obey, or break, the rules of members: they register, hold a lease, take maps and drop what they lost. Every
change of the map is checked against what they truly may answer (invariants I1 and I5).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import event

from elastic_images.autoscaler.config_store import ConfigStore
from elastic_images.autoscaler.journal import Journal
from elastic_images.autoscaler.nodes.process_history import SILENCE_SECONDS, START_SECONDS, ProcessHistory
from elastic_images.autoscaler.resizer import Resizer
from elastic_images.autoscaler.warming import BriefWarmer, Warmer
from elastic_images.core.errors import Unavailable
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.pool_map import PoolMap
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.pool.store import Journal as JournalCallback
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import LEASE_SECONDS, LIVE, Member, PoolView, node_id

TICK_SECONDS = 0.05


@dataclass
class Node:
    """One simulated process."""

    slot: int
    incarnation: str = ""
    epoch: int = 0
    served: frozenset[int] = frozenset()
    lease_ends: float = -1.0
    hung: bool = False
    mute: bool = False
    """Runs, and never registers."""


class FakeNodeProvider:
    """A `NodeProvider` of simulated nodes. `broken` slots cannot be launched, `late` ones fail then, `doomed` die."""

    proves_death = True
    start_seconds = START_SECONDS
    silence_seconds = SILENCE_SECONDS

    def __init__(self, clock: Callable[[], float], nodes: dict[int, Node] | None = None) -> None:
        self.nodes: dict[int, Node] = {} if nodes is None else nodes
        self.broken: set[int] = set()
        self.doomed: set[int] = set()
        self.muted: set[int] = set()
        self.late: set[int] = set()
        self.failures: dict[int, str] = {}
        self.launches: list[int] = []
        self._clock = clock
        self._kill_at: dict[int, float] = {}

    def adopt(self) -> frozenset[int]:
        return self.alive()

    def take_failures(self) -> dict[int, str]:
        failures, self.failures = self.failures, {}
        return failures

    def launch(self, slot: int) -> None:
        if slot in self.broken:
            raise Unavailable("broken")
        if slot in self.nodes:
            return
        self.launches.append(slot)
        if slot in self.late:
            self.failures[slot] = "no capacity"
        elif slot not in self.doomed:
            self.nodes[slot] = Node(slot, mute=slot in self.muted)

    def terminate(self, slot: int, drain_seconds: float) -> None:
        node = self.nodes.get(slot)
        if node is None:
            return
        kill_at = self._clock() + (drain_seconds if node.hung else 0.0)
        self._kill_at[slot] = min(kill_at, self._kill_at.get(slot, kill_at))
        self._reap()

    def alive(self) -> frozenset[int]:
        self._reap()
        return frozenset(self.nodes)

    def close(self) -> None:
        pass

    def _reap(self) -> None:
        for slot, at in list(self._kill_at.items()):
            if self._clock() >= at:
                self.nodes.pop(slot, None)
                del self._kill_at[slot]


class FakeHealth:
    """A `Health` that knows the truth, and takes its time to be sure of a bad one."""

    def __init__(self, nodes: dict[int, Node], clock: Callable[[], float]) -> None:
        self._nodes = nodes
        self._clock = clock
        self._failing_since: dict[str, float] = {}

    def observe(self, members: Iterable[Member]) -> None:
        self._failing_since = {
            member.incarnation: self._failing_since.get(member.incarnation, self._clock())
            for member in members
            if not self._answers(member.incarnation)
        }

    def healthy(self, incarnation: str) -> bool:
        return self._answers(incarnation)

    def suspects(self) -> frozenset[str]:
        return frozenset(name for name, since in self._failing_since.items() if self._clock() - since >= 1.6)

    def _answers(self, incarnation: str) -> bool:
        return any(node.incarnation == incarnation and not node.hung for node in self._nodes.values())


class CheckedStore(PoolStore):
    """Refuses to let a change of the map pass that breaks I1."""

    check: Callable[[PoolMap | None, PoolMap], None] = staticmethod(lambda _before, _after: None)

    def compare_and_set_map(
        self, expected_epoch: int | None, new: PoolMap, journal: JournalCallback | None = None
    ) -> bool:
        self.check(self.read().map, new)
        return super().compare_and_set_map(expected_epoch, new, journal)


class World:
    """Everything together. `now` is its time in seconds."""

    def __init__(self, folder: Path, *, wanted: int = 1, warmer: Warmer | None = None) -> None:
        self.now = 1000.0
        self.engine = open_engine(f"sqlite:///{folder}/pool.db")
        # No power cut is tried here, and each test makes hundreds of transactions.
        event.listen(self.engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))
        metadata.create_all(self.engine)
        self.store = CheckedStore(self.engine, self.clock)
        self.store.check = self._check
        self.journal = Journal(self.engine, self.clock)
        self.provider = FakeNodeProvider(self.clock)
        self.config_store = ConfigStore(self.store, self.journal, ScalingConfig(num_nodes=wanted))
        self.config_store.keep_first()
        self.warmer = warmer or BriefWarmer()
        self.seen: list[PoolMap] = []
        self.restart()

    def close(self) -> None:
        self.engine.dispose()

    def clock(self) -> float:
        return self.now

    def restart(self) -> None:
        """The autoscaler is killed and started again: only database and processes stay."""
        self.resizer = Resizer(
            self.store,
            self.config_store,
            self.journal,
            self.provider,
            FakeHealth(self.provider.nodes, self.clock),
            self.warmer,
            history=ProcessHistory(),
            clock=self.clock,
        )
        self.config_store.on_change = self.resizer.retry_at_once

    def scale(self, nodes: int) -> None:
        self.config_store.update({"num_nodes": nodes})

    def kill(self, slot: int) -> None:
        del self.provider.nodes[slot]

    def tick(self) -> None:
        """One round of everybody."""
        self.now += TICK_SECONDS
        view = self.store.read()
        for node in list(self.provider.nodes.values()):
            self.live(node, view)
        self.resizer.step()

    def run_until(self, done: Callable[[], bool], seconds: float = 60.0) -> float:
        """Let time pass until `done`; gives how much did. Fails after `seconds`."""
        began = self.now
        while not done():
            assert self.now - began < seconds, f"not done: {self.store.read()}, {self.resizer.status}"
            self.tick()
        return self.now - began

    def settled_on(self, *slots: int) -> bool:
        """The map is settled, its owners are those slots, and no other process is left."""
        current = self.store.read().map
        return (
            current is not None
            and current.phase == "settled"
            and set(current.assignment) == set(slots)
            and set(self.provider.nodes) == set(slots)
        )

    def run_until_settled_on(self, *slots: int) -> float:
        return self.run_until(lambda: self.settled_on(*slots))

    @property
    def map(self) -> PoolMap:
        current = self.store.read().map
        assert current is not None
        return current

    def events(self) -> list[str]:
        return [event["kind"] for event in reversed(self.journal.events(500))]

    def live(self, node: Node, view: PoolView) -> None:
        """What a member does at each poll (pool/member.py)."""
        if node.hung or node.mute:
            return
        known = view.find(node.incarnation)
        if known is None or known.state != LIVE:
            former, node.incarnation = node.incarnation, uuid.uuid4().hex
            node.epoch, node.served = 0, frozenset()
            address = f"127.0.0.1:{5000 + node.slot}"
            self.store.register(
                Member(node.incarnation, node_id(node.slot), "node", address, address), replaces=[former]
            )
        current = view.map
        if current is not None and current.epoch > node.epoch:
            node.epoch, node.served = current.epoch, current.served_by(node.slot)
            self.store.name_epoch(node.incarnation, node.epoch)
        node.lease_ends = self.now + LEASE_SECONDS

    def _check(self, before: PoolMap | None, after: PoolMap) -> None:
        self.seen.append(after)
        if before is None:
            return
        assert after.epoch == before.epoch + 1
        for number, (old, new) in enumerate(zip(before.partitions, after.partitions, strict=True)):
            for slot in set(old.copies) - set(new.copies):
                node = self.provider.nodes.get(slot)
                holds = node is not None and number in node.served and self.now < node.lease_ends
                assert not holds, f"I1: node {slot} leaves the copies of {number} and may still answer for it"
