"""Copying objects from one store to another: what is there already is left, every byte that moves is checked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Protocol, TypeVar

from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectMissing, ObjectStore, OpenObject

_PAGE = 500


class Wanted(Protocol):
    """An object that must be in the target, and its contents."""

    @property
    def object_name(self) -> str:
        """Its name in both stores."""

    @property
    def size_bytes(self) -> int:
        """Its length."""

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""


W = TypeVar("W", bound=Wanted)


@dataclass(slots=True)
class Copied(Generic[W]):
    """What became of the objects."""

    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    """In the target already, with the right length."""
    bad: list[W] = field(default_factory=list)
    """Missing in the source, or with other bytes than they should have; the target does not have them."""


def copy_objects(
    source: ObjectStore,
    target: ObjectStore,
    wanted: Iterable[W],
    report: Copied[W],
    *,
    jobs: int = 8,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Copy the objects of `wanted`, in the order of their names, that the target lacks. Adds to `report`.

    `progress` gets the bytes that are done since its last call. Only one copy may run on a target at a time.

    Raises:
        OutOfSpace, Unavailable: of either store; what was copied stays, and the next run goes on.
    """
    waiting: deque[tuple[W, Future[bool]]] = deque()

    def settle() -> None:
        one, copied = waiting.popleft()
        if copied.result():
            report.copied += 1
            report.copied_bytes += one.size_bytes
        else:
            report.bad.append(one)
        progress(one.size_bytes)

    for half in list(target.partials()):
        target.delete_partial(half.name)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for one, present in _compared(wanted, target):
                if present:
                    report.present += 1
                    progress(one.size_bytes)
                    continue
                waiting.append((one, pool.submit(_copy, source, target, one)))
                if len(waiting) > 2 * jobs:
                    settle()
            while waiting:
                settle()
        finally:
            pool.shutdown(cancel_futures=True)


def _compared(wanted: Iterable[W], target: ObjectStore) -> Iterator[tuple[W, bool]]:
    """Each object with whether the target has it. One with another length is removed from the target."""
    left, after = iter(wanted), ""
    while page := list(islice(left, _PAGE)):
        sizes = _sizes(target, after, page[-1].object_name)
        after = page[-1].object_name
        for one in page:
            present = sizes.get(one.object_name) == one.size_bytes
            if not present and one.object_name in sizes:
                target.delete(one.object_name)
            yield one, present


def _sizes(target: ObjectStore, after: str, last: str) -> dict[str, int]:
    """The lengths of the target's objects with names above `after`, up to `last`."""
    sizes: dict[str, int] = {}
    while page := target.list(after, _PAGE):
        sizes |= {info.name: info.size_bytes for info in page if info.name <= last}
        after = page[-1].name
        if after >= last:
            break
    return sizes


def _copy(source: ObjectStore, target: ObjectStore, one: Wanted) -> bool:
    """False: the source does not have these bytes; the target is left without them."""
    try:
        with source.open(one.object_name) as found:
            stored = target.put(_chunks(found), one.object_name)
    except ObjectMissing:
        return False
    if (stored.sha256, stored.size_bytes) == (one.sha256, one.size_bytes):
        return True
    target.delete(one.object_name)
    return False


def _chunks(found: OpenObject) -> Iterator[bytes]:
    while chunk := found.read(CHUNK_BYTES):
        yield chunk
