"""Checking that a backup can be restored: every byte of it is read and compared with its SHA-256."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from elastic_images.backup.destination import BackupSet, Destination, StoredFile
from elastic_images.core.errors import BackupDamaged
from elastic_images.storage.catalog.references import Referenced
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.verified import BadObject, examine_object

_BATCH = 256


@dataclass(slots=True)
class Verified:
    """What was found."""

    set: str
    objects: int = 0
    size_bytes: int = 0
    bad: list[str] = field(default_factory=list)
    """Keys whose bytes the backup does not have, or has damaged, beyond those that its record names."""

    @property
    def whole(self) -> bool:
        """Whether a restore gives everything that the set promises."""
        return not self.bad


def verify(
    destination: Destination,
    record: BackupSet,
    *,
    jobs: int = 8,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verified:
    """Read the whole set. `progress` gets the bytes done since its last call, and all bytes.

    Raises:
        BackupDamaged: the dump of the tables, or of the metrics, is damaged; nothing of the set can be trusted.
        Unavailable: the destination cannot be read.
    """
    for file in (record.dump, record.metrics):
        if file is not None and not is_whole(destination.files, file):
            raise BackupDamaged(f"The backup set {record.id} has lost its tables: use another set.")
    found = Verified(record.id)
    known = set(record.damaged)

    def check(one: Referenced) -> bool:
        return is_whole(destination.objects, StoredFile(one.object_name, one.size_bytes, one.sha256))

    with ThreadPoolExecutor(jobs) as pool:
        wanted = destination.objects_named_in(record.dump)
        while batch := list(islice(wanted, _BATCH)):
            for one, good in zip(batch, pool.map(check, batch), strict=True):
                found.objects += 1
                found.size_bytes += one.size_bytes
                progress(one.size_bytes, record.object_bytes)
                if not good and one.key not in known:
                    found.bad.append(one.key)
    return found


def is_whole(store: ObjectStore, file: StoredFile) -> bool:
    """Whether the store has this object with these bytes."""
    try:
        examine_object(store, file.name, file.size_bytes, file.sha256)
    except BadObject:
        return False
    return True
