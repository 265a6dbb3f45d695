"""All rows of a database as of one moment, as compressed lines of JSON that any of our databases can take back.

Each table begins with a line `{"table": name, "columns": [...]}`; each row is an array of values after it. Images and
trash come in the order of their objects' names, so that objects can be compared with a listing page by page.
"""

from __future__ import annotations

import heapq
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from elastic_images.core.errors import BackupDamaged
from elastic_images.storage.catalog.references import Referenced

_GZIP = 31
"""zlib's window bits for the gzip format."""
_BATCH = 500
_WITH_OBJECTS = ("images", "trash")

Row = dict[str, Any]


@dataclass(slots=True)
class Summary:
    """What a dump holds."""

    tables: dict[str, int] = field(default_factory=dict)
    """The number of rows of each table."""
    object_bytes: int = 0
    """Of all objects that are named."""
    store_id: str | None = None


def dump_tables(connection: Connection, tables: Iterable[Table], summary: Summary) -> Iterator[bytes]:
    """The tables, compressed. `connection` sees them as of one moment; `summary` is filled on the way."""
    packer = zlib.compressobj(wbits=_GZIP)
    for table in tables:
        summary.tables[table.name] = 0
        yield packer.compress(_line({"table": table.name, "columns": [column.name for column in table.columns]}))
        result = connection.execution_options(yield_per=_BATCH).execute(_rows(table))
        for rows in result.partitions():
            summary.tables[table.name] += len(rows)
            if table.name in _WITH_OBJECTS:
                summary.object_bytes += sum(row.size_bytes for row in rows)
            elif table.name == "store_identity":
                summary.store_id = rows[0].store_id
            yield packer.compress(b"".join(_line(list(row)) for row in rows))
    yield packer.flush()


def read_dump(chunks: Iterable[bytes], tables: Collection[str] | None = None) -> Iterator[tuple[str, Row]]:
    """Each row (of `tables`) with its table's name, in the dump's order. Raises BackupDamaged."""
    table, columns = "", list[str]()
    for line in _lines(chunks):
        if tables is not None and table not in tables and not line.startswith(b"{"):
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise BackupDamaged("The dump of a backup set cannot be read.") from error
        if isinstance(value, dict):
            table, columns = value["table"], value["columns"]
        elif tables is None or table in tables:
            yield table, dict(zip(columns, value, strict=True))


def objects_in(open_dump: Callable[[], Iterable[bytes]]) -> Iterator[Referenced]:
    """The objects that images and trash name, in the order of their names. The dump is read once for each table."""
    parts = (read_dump(open_dump(), (table,)) for table in _WITH_OBJECTS)
    return heapq.merge(*map(_objects, parts), key=attrgetter("object_name"))


def _objects(rows: Iterable[tuple[str, Row]]) -> Iterator[Referenced]:
    for table, row in rows:
        sha256 = json.loads(row["facts"])["sha256"] if table == "trash" else row["sha256"]
        yield Referenced(row["object_name"], row["key"], row["size_bytes"], sha256)


def _rows(table: Table) -> Select[Any]:
    query = select(table)
    if table.name == "trash":
        # A row that the collector has claimed, or that cannot be restored, is as good as gone.
        query = query.where(table.c.claimed_by.is_(None), table.c.facts.is_not(None))
    if "object_name" in table.c:
        query = query.order_by(table.c.object_name)
    return query


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker, rest = zlib.decompressobj(wbits=_GZIP), b""
    for data in _unpacked(chunks, unpacker.decompress):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
    if rest or not unpacker.eof:
        raise BackupDamaged("The dump of a backup set ends in the middle.")


def _unpacked(chunks: Iterable[bytes], decompress: Callable[[bytes], bytes]) -> Iterator[bytes]:
    try:
        for chunk in chunks:
            yield decompress(chunk)
    except zlib.error as error:
        raise BackupDamaged("The dump of a backup set cannot be unpacked.") from error


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
