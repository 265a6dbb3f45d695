"""The journal of resizes and the events of the pool, kept in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from sqlalchemy import Connection, Engine, select, update

from elastic_images.autoscaler.event_rows import from_row, to_row
from elastic_images.autoscaler.plan import MapChange
from elastic_images.autoscaler.records import append, newest
from elastic_images.autoscaler.tables import pool_events, resizes
from elastic_images.core.events import Event, EventRecord
from elastic_images.core.pool_document import ResizeRecord
from elastic_images.core.pool_map import PoolMap
from elastic_images.database.engine import write_transaction

_KEEP = 10_000
_STATES = {
    "first": "finished",
    "open": "open",
    "close": "closing",
    "abort": "aborting",
    "fail-over": "closing",
    "settle": "finished",
}


class Journal:
    """Writes and reads resizes and events. Safe to share between threads; raises SQLAlchemy's errors."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def record(self, change: MapChange, before: PoolMap | None, wanted: int) -> Callable[[Connection], None]:
        """Returns what records `change`, to be called in the transaction that makes it."""

        def write(connection: Connection) -> None:
            self._record_resize(connection, change, before, wanted)
            self.add(connection, [Event(change.kind, epoch=change.new.epoch, reason=change.reason)])

        return write

    def add(self, connection: Connection, events: Iterable[Event]) -> None:
        """Write events in the caller's transaction."""
        for event in events:
            append(connection, pool_events, _KEEP, at=self._clock(), **to_row(event))

    def note(self, *events: Event) -> None:
        """Write events in one transaction; without events, none is begun."""
        if events:
            with write_transaction(self._engine) as connection:
                self.add(connection, events)

    def under_way(self) -> ResizeRecord | None:
        """The resize that is not finished; None if there is none."""
        with self._engine.begin() as connection:
            row = _unfinished(connection)
        return None if row is None else _shown(row)

    def last_finished_at(self) -> float | None:
        """When the last resize ended; None before the first one. Creating the first map counts as one."""
        query = select(resizes.c.finished_at).where(resizes.c.finished_at.is_not(None))
        with self._engine.begin() as connection:
            return connection.execute(query.order_by(resizes.c.id.desc()).limit(1)).scalar_one_or_none()

    def resizes(self, limit: int, before: int | None = None) -> list[ResizeRecord]:
        """Resizes, newest first."""
        with self._engine.begin() as connection:
            return [_shown(row) for row in newest(connection, resizes, limit, before)]

    def events(self, limit: int, before: int | None = None) -> list[EventRecord]:
        """Events, newest first."""
        with self._engine.begin() as connection:
            return [from_row(row) for row in newest(connection, pool_events, limit, before)]

    def _record_resize(self, connection: Connection, change: MapChange, before: PoolMap | None, wanted: int) -> None:
        row = _unfinished(connection)
        if row is None:
            self._begin(connection, change, before, wanted)
        else:
            self._go_on(connection, row, change)

    def _begin(self, connection: Connection, change: MapChange, before: PoolMap | None, wanted: int) -> None:
        state = _STATES[change.kind]
        finished = state == "finished"
        append(
            connection,
            resizes,
            _KEEP,
            started_at=self._clock(),
            finished_at=self._clock() if finished else None,
            state=state,
            epoch=change.new.epoch,
            wanted=wanted,
            from_slots=_slots_text(before),
            to_slots=_slots_text(change.new),
            reason=change.reason,
            outcome="done" if finished else None,
        )

    def _go_on(self, connection: Connection, row: dict[str, Any], change: MapChange) -> None:
        values: dict[str, Any] = {"state": _STATES[change.kind], "epoch": change.new.epoch}
        if change.kind in ("abort", "fail-over"):
            values["reason"] = f"{row['reason']} {change.reason}"
        if change.kind == "fail-over":
            values["to_slots"] = _slots_text(change.new)
            # A resize stays open for the partitions that are still moving; an abort stays an abort.
            values["state"] = "open" if change.new.phase == "open" else row["state"].replace("open", "closing")
        if change.kind == "settle":
            values |= {
                "finished_at": self._clock(),
                "outcome": "aborted" if row["state"] == "aborting" else "done",
            }
        connection.execute(update(resizes).where(resizes.c.id == row["id"]).values(**values))


def _unfinished(connection: Connection) -> dict[str, Any] | None:
    query = select(resizes).where(resizes.c.finished_at.is_(None)).order_by(resizes.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _slots_text(pool_map: PoolMap | None) -> str:
    return ",".join(str(slot) for slot in sorted(set(pool_map.assignment))) if pool_map else ""


def _shown(row: dict[str, Any]) -> ResizeRecord:
    slots = {name: [int(slot) for slot in row.pop(f"{name}_slots").split(",") if slot] for name in ("from", "to")}
    return cast("ResizeRecord", {**row, **slots})
