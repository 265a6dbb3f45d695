"""The pool map: who owns each partition, and how it changes, one epoch at a time.

Maps are values: a transition takes a map and gives the next one. The autoscaler writes it by compare-and-set on the
epoch, nodes and web processes take it as it comes, and storage reads `copies` before it acknowledges a write.

In every map readers may use only `owner` and `previous`, and `copies` contains both: a writer that invalidates every
node of `copies` has reached every node that may be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from elastic_images.core.assignment import Assignment
from elastic_images.core.partitions import PARTITIONS
from elastic_images.core.pool_document import MapDocument


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition's place in the map. Numbers are slots, 0 to 7."""

    owner: int
    previous: int | None = None
    """The owner before the current resize; it may still serve, and is asked before storage."""
    copies: tuple[int, ...] = ()
    """The slots that a writer must invalidate, in this order: the source of a move before its destination."""

    @property
    def readers(self) -> tuple[int, ...]:
        """The slots that may serve this partition."""
        return (self.owner,) if self.previous is None else (self.owner, self.previous)


@dataclass(frozen=True, slots=True)
class PoolMap:
    """An epoch and 16 partitions. Immutable."""

    epoch: int
    partitions: tuple[PartitionState, ...]

    def __post_init__(self) -> None:
        if len(self.partitions) != PARTITIONS:
            raise ValueError(f"a pool map has {PARTITIONS} partitions, not {len(self.partitions)}")
        for state in self.partitions:
            if not set(state.readers) <= set(state.copies):
                raise ValueError(f"copies {state.copies} lack a reader of {state.readers}")

    @property
    def assignment(self) -> Assignment:
        """The owner of each partition."""
        return tuple(state.owner for state in self.partitions)

    @property
    def slots(self) -> frozenset[int]:
        """Every slot that the map names, in any role."""
        return frozenset(slot for state in self.partitions for slot in state.copies)

    @property
    def phase(self) -> str:
        """`open` while a partition has a previous owner, `closing` while copies wait to be dropped, else `settled`."""
        if any(state.previous is not None for state in self.partitions):
            return "open"
        if any(state.copies != (state.owner,) for state in self.partitions):
            return "closing"
        return "settled"

    def served_by(self, slot: int) -> frozenset[int]:
        """The partitions that the node in `slot` may serve."""
        return frozenset(index for index, state in enumerate(self.partitions) if slot in state.readers)

    def to_json(self) -> MapDocument:
        """As JSON values, which `from_json` reads back."""
        return {
            "epoch": self.epoch,
            "partitions": [
                {"owner": state.owner, "previous": state.previous, "copies": list(state.copies)}
                for state in self.partitions
            ],
        }

    @classmethod
    def from_json(cls, value: MapDocument) -> PoolMap:
        """Read the output of `to_json`. Raises KeyError, TypeError or ValueError if it is anything else."""
        return cls(
            epoch=value["epoch"],
            partitions=tuple(
                PartitionState(owner=state["owner"], previous=state["previous"], copies=tuple(state["copies"]))
                for state in value["partitions"]
            ),
        )


def first_map(assignment: Assignment) -> PoolMap:
    """The map of a new pool, epoch 1."""
    return PoolMap(1, tuple(PartitionState(owner=slot, copies=(slot,)) for slot in assignment))


def open_resize(current: PoolMap, target: Assignment) -> PoolMap:
    """Step 1: new owners take over while the old ones may still serve. `current` must be settled."""
    if current.phase != "settled":
        raise ValueError("a resize opens on a settled map only")

    def opened(state: PartitionState, owner: int) -> PartitionState:
        if state.owner == owner:
            return state
        return PartitionState(owner=owner, previous=state.owner, copies=(state.owner, owner))

    return _next(current, map(opened, current.partitions, target))


def close_resize(current: PoolMap) -> PoolMap:
    """Step 3: the previous owners no longer serve; writers still invalidate them."""
    return _next(current, (replace(state, previous=None) for state in current.partitions))


def abort_resize(current: PoolMap) -> PoolMap:
    """Undo step 1: the previous owners take over again; the would-be owners are still invalidated, after them."""

    def undone(state: PartitionState) -> PartitionState:
        if state.previous is None:
            return state
        return PartitionState(owner=state.previous, copies=state.copies)

    return _next(current, map(undone, current.partitions))


def settle(current: PoolMap) -> PoolMap:
    """Step 4, also after an abort or a node's death: only the owner is left in `copies`.

    The caller ensures that every node that leaves `copies` has named the epoch of `current` or a later one, or is dead.
    """
    if current.phase == "open":
        raise ValueError("an open resize must be closed or aborted before it settles")
    return _next(current, (replace(state, copies=(state.owner,)) for state in current.partitions))


def fail_over(current: PoolMap, dead: Collection[int], heirs: Assignment) -> PoolMap:
    """Take dead slots away from readers; they stay in `copies` until `settle`.

    A partition whose dead owner has a living previous owner goes back to it; one without a living reader goes to its
    slot in `heirs`, which serves it at once. `heirs` must not name a dead slot for such a partition.
    """

    def mended(state: PartitionState, heir: int) -> PartitionState:
        living = [slot for slot in state.readers if slot not in dead]
        if len(living) == len(state.readers):
            return state
        owner = living[0] if living else heir
        copies = state.copies if owner in state.copies else (*state.copies, owner)
        return PartitionState(owner=owner, copies=copies)

    return _next(current, map(mended, current.partitions, heirs))


def _next(current: PoolMap, partitions: Iterable[PartitionState]) -> PoolMap:
    return PoolMap(current.epoch + 1, tuple(partitions))
