"""All rows of a database as of one moment, as compressed lines of JSON that any of our databases can take back.

Each table begins with a line `{"table": name, "columns": [...]}`; each row is an array of values after it. Images and
trash come in the order of their objects' names, so that objects can be compared with a listing page by page.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from elastic_images.core.errors import BackupDamaged
from elastic_images.storage.upkeep.fsck import Referenced

_GZIP = 31
"""zlib's window bits for the gzip format."""
_BATCH = 500

Row = dict[str, Any]


def dump_tables(connection: Connection, tables: Iterable[Table], counts: dict[str, int]) -> Iterator[bytes]:
    """The tables, compressed; `counts` gets the number of rows of each. `connection` sees them as of one moment."""
    packer = zlib.compressobj(wbits=_GZIP)
    for table in tables:
        counts[table.name] = 0
        yield packer.compress(_line({"table": table.name, "columns": [column.name for column in table.columns]}))
        result = connection.execution_options(yield_per=_BATCH).execute(_rows(table))
        for rows in result.partitions():
            counts[table.name] += len(rows)
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


def objects_in(chunks: Iterable[bytes], *tables: str) -> Iterator[Referenced]:
    """The objects that the rows of `images`, `trash` or both name, by their names in each table."""
    for name, row in read_dump(chunks, tables):
        sha256 = json.loads(row["facts"])["sha256"] if name == "trash" else row["sha256"]
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
