"""What to do next with the pool: facts in, a plan out. Pure; the resizer acts on it.

Each plan starts from the current map and processes, so it continues from whatever state a crash left behind. One change
of the map is planned at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.assignment import Assignment, alternating, assign, deal
from elastic_images.core.events import MapEventKind
from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, fail_over, first_map, open_resize, settle

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of the pool. Numbers are slots."""

    map: PoolMap | None
    wanted: int
    """The wanted size: slots 0 to wanted - 1 should serve."""
    ready: frozenset[int] = _NONE
    """It has a live and healthy member that is not being stopped."""
    doubtful: frozenset[int] = _NONE
    """Not ready, but an incarnation may still answer from memory: fenced, not healthy, or being stopped."""
    fenced: frozenset[int] = _NONE
    """Of the doubtful: fenced, and no new incarnation came. No reads go there, and others may serve at once."""
    unnamed: frozenset[int] = _NONE
    """An incarnation that may still answer has not named the map's epoch."""
    processes: frozenset[int] = _NONE
    """There is a process, or no proof that it is gone."""
    startable: frozenset[int] = _NONE
    """No process, and its next start is due."""
    awaited: frozenset[int] = _NONE
    """Not ready, but likely to be soon: it has not yet failed twice in a row."""
    stopping: frozenset[int] = _NONE
    """It was told to stop."""
    cold: bool = False
    """No node served when this began, so the starting ones are waited for."""
    warmed: bool = True
    """The resize under way may be closed."""
    resize_wanted: int | None = None
    """The wanted size that the resize under way was opened for."""
    assignment: str = "alternating"
    """The assignment to use when all slots that should serve are ready (`core.assignment`)."""

    @property
    def slots(self) -> frozenset[int]:
        """The slots that should serve."""
        return frozenset(range(self.wanted))


@dataclass(frozen=True, slots=True)
class MapChange:
    """A change of the map: the next map, and why."""

    kind: MapEventKind
    new: PoolMap
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now; `waiting` if more will follow by itself."""

    launch: frozenset[int] = _NONE
    retire: frozenset[int] = _NONE
    """It serves nothing and is not wanted: it may be stopped after a while."""
    change: MapChange | None = None
    waiting: bool = False


def plan(facts: Facts) -> Plan:
    """The next step from `facts` towards a settled map on the wanted slots."""
    in_map = facts.map.slots if facts.map else _NONE
    change = _change(facts)
    return Plan(
        launch=facts.slots & facts.startable - facts.processes,
        retire=facts.processes - facts.slots - in_map - facts.stopping,
        change=change,
        waiting=change is not None or _waits(facts),
    )


def _change(facts: Facts) -> MapChange | None:
    if facts.map is None:
        return _first(facts)
    return _rescue(facts, facts.map) or _advance(facts, facts.map)


def _waits(facts: Facts) -> bool:
    unsettled = facts.map is None or facts.map.phase != "settled"
    return unsettled or bool(facts.slots & (facts.awaited | facts.doubtful))


def _first(facts: Facts) -> MapChange | None:
    target = target_assignment(facts, alternating(facts.wanted))
    if target is None:
        return None
    return MapChange("first", first_map(target), "The pool is new.")


def _rescue(facts: Facts, current: PoolMap) -> MapChange | None:
    """Move the partitions of nodes that are gone to those that serve.

    For readers a fenced node is gone. It may still answer from memory until its lease expires, so it stays in `copies`
    and every writer waits for it until it is dead.
    """
    readers = {slot for state in current.partitions for slot in state.readers}
    gone = readers - facts.ready - (facts.doubtful - facts.fenced)
    if not gone or not facts.ready or (facts.cold and facts.slots & facts.awaited):
        return None
    survivors = (facts.ready & facts.slots) or facts.ready
    heirs = deal(current.assignment, tuple(sorted(survivors)))
    return MapChange("fail-over", fail_over(current, gone, heirs), f"{_named(gone)} {_fate(facts, gone)}.")


def _advance(facts: Facts, current: PoolMap) -> MapChange | None:
    if current.phase == "open":
        if facts.warmed:
            return MapChange("close", close_resize(current), "The new owners are warm.")
        if facts.resize_wanted not in (None, facts.wanted):
            return MapChange("abort", abort_resize(current), f"The wanted size is now {facts.wanted}.")
        return None
    if current.phase == "closing":
        if unsettled_slots(current) & facts.unnamed:
            return None
        return MapChange("settle", settle(current), "All previous copies are dropped or dead.")
    return _open(facts, current)


def _open(facts: Facts, current: PoolMap) -> MapChange | None:
    target = target_assignment(facts, current.assignment)
    if target is None or target == current.assignment:
        return None
    if facts.slots <= facts.ready:
        reason = f"The wanted size is {facts.wanted}."
    else:
        reason = f"The wanted size is {facts.wanted}, and {_named(facts.slots - facts.ready)} cannot be started."
    return MapChange("open", open_resize(current, target), reason)


def unsettled_slots(current: PoolMap) -> frozenset[int]:
    """Slots in the copies of partitions with more than one copy: all must name the epoch before the map settles."""
    return frozenset(slot for state in current.partitions if len(state.copies) > 1 for slot in state.copies)


def target_assignment(facts: Facts, current: Assignment) -> Assignment | None:
    """Which slot should own each partition, given which are ready; None to wait or leave everything as it is."""
    serving = facts.slots & facts.ready
    if serving == facts.slots:
        return assign(facts.assignment, current, facts.wanted)
    if not serving or (facts.slots - serving) & (facts.awaited | facts.doubtful):
        return None
    return deal(current, tuple(sorted(serving)))


def _fate(facts: Facts, gone: set[int] | frozenset[int]) -> str:
    return (
        "died" if not gone & facts.fenced else "is not responding" if len(gone) == 1 else "died or are not responding"
    )


def _named(slots: set[int] | frozenset[int]) -> str:
    names = [f"node {slot}" for slot in sorted(slots)]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
