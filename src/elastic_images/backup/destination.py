"""Where backups are kept: objects that all sets share, a dump of the tables for each set, and the sets' records."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from elastic_images.backup.dump import Row, objects_in, read_dump
from elastic_images.core.errors import Conflict, InvalidRequest, NotFound
from elastic_images.storage.catalog.references import Referenced
from elastic_images.storage.objects.from_url import below, open_object_store
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectMissing, ObjectStore

FORMAT = 1
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object of the destination and what it must contain."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupSet:
    """The record of one backup: it is written last, so a set that has one is complete.

    Times are seconds since the epoch. `damaged` are keys whose bytes were damaged or lost before the backup.
    """

    id: str
    created_at: float
    finished_at: float
    version: str
    revision: str
    store_id: str | None
    tables: dict[str, int]
    objects: int
    object_bytes: int
    dump: StoredFile
    metrics: StoredFile | None = None
    damaged: list[str] = field(default_factory=list)
    format: int = FORMAT

    def encode(self) -> bytes:
        """As it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> BackupSet:
        """Read what `encode` gave. Raises InvalidRequest if this version cannot read it."""
        try:
            value = json.loads(data)
            if value["format"] != FORMAT:
                raise InvalidRequest("This backup was made by a newer version of Elastic Images; restore it with that.")
            metrics = value["metrics"]
            value |= {"dump": StoredFile(**value["dump"]), "metrics": StoredFile(**metrics) if metrics else None}
            return cls(**value)
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRequest("The record of a backup set cannot be read; its bytes are damaged.") from error


class Destination:
    """A folder or a bucket with backups. Safe to share between threads."""

    def __init__(self, place: str) -> None:
        """`place`: a folder, `file:///FOLDER` or `s3://BUCKET/PREFIX`. Touches nothing yet. Raises InvalidRequest."""
        url = place if "://" in place else Path(place).resolve().as_uri()
        self.place = url.rstrip("/")
        self.objects: ObjectStore = open_object_store(below(self.place, "objects"))
        self.files: ObjectStore = open_object_store(below(self.place, "files"))
        """Dumps of tables and copies of metrics."""
        self._records: ObjectStore = open_object_store(below(self.place, "sets"))

    def sets(self) -> list[BackupSet]:
        """All complete sets, oldest first. Raises InvalidRequest, Unavailable."""
        return [self._read(name) for name in names_of(self._records)]

    def find(self, set_id: str | None) -> BackupSet:
        """The set with this id, the newest one by default. Raises NotFound if there is none."""
        found = self.sets() if set_id is None else [one for one in self.sets() if one.id == set_id]
        if not found:
            wanted = "no backup" if set_id is None else f"no backup set {set_id}"
            raise NotFound(f"There is {wanted} at {self.place}.")
        return found[-1]

    def add(self, record: BackupSet) -> None:
        """Write the record of a set; from now on it counts."""
        self._records.put([record.encode()], record.id)

    def remove(self, record: BackupSet) -> None:
        """Remove a set and its files; its objects may belong to other sets, too (`retention`)."""
        self._records.delete(record.id)
        self.files.delete_many([file.name for file in (record.dump, record.metrics) if file])

    def remove_loose_files(self) -> int:
        """Remove what an interrupted backup left: files that no set names, and half ones; gives how many were whole."""
        for store in (self.files, self._records):
            for half in list(store.partials()):
                store.delete_partial(half.name)
        named = {file.name for one in self.sets() for file in (one.dump, one.metrics) if file}
        loose = [name for name in names_of(self.files) if name not in named]
        self.files.delete_many(loose)
        return len(loose)

    def rows(self, dump: StoredFile) -> Iterator[tuple[str, Row]]:
        """Each row of a dump with its table's name. Raises BackupDamaged, ObjectMissing."""
        return read_dump(chunks_of(self.files, dump.name))

    def objects_named_in(self, dump: StoredFile) -> Iterator[Referenced]:
        """The objects that a set needs, in the order of their names. Raises as `rows`."""
        return objects_in(lambda: chunks_of(self.files, dump.name))

    def check_belongs_to(self, store_id: str | None) -> None:
        """Return if the sets here are of the same system. Raises Conflict."""
        others = {one.store_id for one in self.sets()} - {store_id}
        if others and store_id is not None:
            raise Conflict(f"{self.place} holds backups of another system; use a destination of its own for each.")

    def _read(self, name: str) -> BackupSet:
        try:
            with self._records.open(name) as found:
                return BackupSet.decode(found.read())
        except ObjectMissing:
            raise NotFound(f"The backup set {name} was removed meanwhile.") from None


def new_set_id(now: float) -> str:
    """An id of 32 hexadecimal digits; ids sort by time."""
    return f"{int(now * 1e6):016x}{secrets.token_hex(8)}"


def names_of(store: ObjectStore) -> Iterator[str]:
    """The names of all objects in the store, in order."""
    after = ""
    while page := store.list(after, _PAGE):
        yield from (info.name for info in page)
        after = page[-1].name


def chunks_of(store: ObjectStore, name: str) -> Iterator[bytes]:
    """The bytes of an object, in pieces. Raises ObjectMissing."""
    with store.open(name) as found:
        while chunk := found.read(CHUNK_BYTES):
            yield chunk
