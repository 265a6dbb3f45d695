"""Copying objects from one store to another: what is there already is left, every byte that moves is checked.

A store that is being copied into has a mark, an object with a name of the origin's own: after an interruption the same
command goes on, and no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from elastic_images.core.errors import Conflict
from elastic_images.storage.catalog.references import Referenced
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.verified import BadObject, verified_chunks

_PAGE = 500


@dataclass(slots=True)
class Copied:
    """What became of the objects."""

    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    """In the target already, with the right length."""
    bad: list[Referenced] = field(default_factory=list)
    """Missing in the source, or with other bytes than they should have; the target does not have them."""


def begin_copy(target: ObjectStore, mark: str) -> None:
    """Mark the target as being copied into; delete `mark` in the end.

    Raises:
        Conflict: it holds something else. Nothing was changed.
    """
    if target.stat(mark) is not None:
        return
    if target.list(limit=1):
        raise Conflict("The target object store is not empty, and no earlier part of this copy is in it.")
    target.put([b"a copy into this object store is not finished\n"], mark)


def copy_objects(
    source: ObjectStore,
    target: ObjectStore,
    wanted: Iterable[Referenced],
    *,
    jobs: int = 8,
    progress: Callable[[int], None] = lambda _: None,
) -> Copied:
    """Copy the objects of `wanted`, in the order of their names, that the target lacks.

    `progress` gets the bytes that are done since its last call. Only one copy may run on a target at a time.

    Raises:
        OutOfSpace, Unavailable: of either store; what was copied stays, and the next run goes on.
    """
    report = Copied()
    waiting: deque[tuple[Referenced, Future[bool]]] = deque()

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
    return report


def _compared(wanted: Iterable[Referenced], target: ObjectStore) -> Iterator[tuple[Referenced, bool]]:
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


def _copy(source: ObjectStore, target: ObjectStore, one: Referenced) -> bool:
    """False: the source does not have these bytes; the target is left without them."""
    try:
        target.put(verified_chunks(source, one.object_name, one.size_bytes, one.sha256), one.object_name)
    except BadObject:
        return False
    return True
