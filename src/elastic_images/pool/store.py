"""The pool in the database, on which all processes agree."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Insert, bindparam, delete, insert, select, update

from elastic_images.core.pool_map import PoolMap
from elastic_images.database.engine import write_transaction
from elastic_images.database.prepared import PreparedQuery
from elastic_images.pool.tables import pool_members, pool_state
from elastic_images.pool.view import DEAD, FENCED, LIVE, Member, PoolView

_FORGET_DEAD_SECONDS = 3600.0

Journal = Callable[[Connection], None]
"""Writes records of a change in that change's transaction."""


class PoolStore:
    """Reads and changes the pool map, the members and the pool's configuration.

    Each method is one transaction on the primary database, begun when it is called. Safe to share between threads.
    Raises SQLAlchemy's errors if the database does not respond.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._stamp = PreparedQuery(engine, select(pool_state.c.revision).where(pool_state.c.id == bindparam("id")))
        self._clock = clock

    def read(self) -> PoolView:
        """The pool as it is now.

        The state is read before the members: if a change falls in between, the stamp is the older one, and comparing
        stamps leads to another look.
        """
        with self._engine.begin() as connection:
            state = connection.execute(select(pool_state).where(pool_state.c.id == 1)).one()
            rows = connection.execute(
                select(pool_members)
                .where(pool_members.c.state.in_((LIVE, FENCED)))
                .order_by(pool_members.c.registered_at, pool_members.c.incarnation)
            ).mappings()
            members = tuple(Member(**row) for row in rows)
        return PoolView(
            map=PoolMap.from_json(json.loads(state.map)) if state.map else None,
            members=members,
            config=json.loads(state.config) if state.config else {},
            stamp=str(state.revision),
        )

    def stamp(self) -> str:
        """Just the stamp: one row by its primary key."""
        row = self._stamp.first(id=1)
        if row is None:
            raise AssertionError("the migration made the row")
        return str(row[0])

    def state_of(self, incarnation: str) -> str:
        """`live`, `fenced`, `dead`, or `unknown`."""
        with self._engine.begin() as connection:
            query = select(pool_members.c.state).where(pool_members.c.incarnation == incarnation)
            return connection.execute(query).scalar_one_or_none() or "unknown"

    def compare_and_set_map(self, expected_epoch: int | None, new: PoolMap, journal: Journal | None = None) -> bool:
        """Replace the map if its epoch is `expected_epoch` (None: there is no map yet). False: it is another epoch."""
        with write_transaction(self._engine) as connection:
            kept = connection.execute(
                select(pool_state.c.map).where(pool_state.c.id == 1).with_for_update()
            ).scalar_one()
            if (json.loads(kept)["epoch"] if kept else None) != expected_epoch:
                return False
            self._change_state(connection, map=json.dumps(new.to_json()))
            if journal is not None:
                journal(connection)
            return True

    def set_config(self, config: dict[str, Any], journal: Journal | None = None) -> None:
        """Store `config` (JSON values) as the pool's configuration."""
        with write_transaction(self._engine) as connection:
            self._change_state(connection, config=json.dumps(config))
            if journal is not None:
                journal(connection)

    def register(self, member: Member, *, replaces: Collection[str] = ()) -> None:
        """Add a live incarnation. Repeating the call changes nothing; members that died long ago are forgotten.

        `replaces`: incarnations of this id that the caller knows to be gone, because it holds the lock under which
        they were noted or has cleared its cache since; they are marked dead at once. Each is named, because a lock
        proves nothing about other machines, where the same id may live. One that is not known yet is dead from the
        start: its registration, given up by the caller, may still be on its way.
        """
        now = self._clock()
        gone = set(replaces) - {member.incarnation}
        with write_transaction(self._engine) as connection:
            # All writers lock the state's row first, so their order of locks is the same.
            self._change_state(connection)
            known = connection.execute(
                select(pool_members.c.state).where(pool_members.c.incarnation == member.incarnation)
            ).scalar_one_or_none()
            if known is None:
                connection.execute(_row_of(member, LIVE, now))
            if gone:
                self._bury(connection, member, gone, now)
            connection.execute(
                delete(pool_members).where(
                    pool_members.c.state == DEAD, pool_members.c.registered_at < now - _FORGET_DEAD_SECONDS
                )
            )

    @staticmethod
    def _bury(connection: Connection, member: Member, gone: Collection[str], now: float) -> None:
        theirs = pool_members.c.incarnation.in_(gone)
        connection.execute(
            update(pool_members)
            .where(pool_members.c.state.in_((LIVE, FENCED)), pool_members.c.id == member.id, theirs)
            .values(state=DEAD)
        )
        known = set(connection.execute(select(pool_members.c.incarnation).where(theirs)).scalars())
        for incarnation in sorted(set(gone) - known):
            connection.execute(_row_of(replace(member, incarnation=incarnation), DEAD, now))

    def name_epoch(self, incarnation: str, epoch: int) -> None:
        """Record that a member has taken the map of `epoch` and dropped what it lost. Never lowers the epoch."""
        with write_transaction(self._engine) as connection:
            connection.execute(
                update(pool_members)
                .where(pool_members.c.incarnation == incarnation, pool_members.c.epoch < epoch)
                .values(epoch=epoch)
            )

    def fence(self, incarnation: str) -> bool:
        """Stop giving leases to a live member. False: it was not live."""
        return self._move(incarnation, (LIVE,), FENCED)

    def mark_dead(self, incarnation: str) -> bool:
        """Skip a member from now on. The caller knows that it left, its process is gone or its lease has expired."""
        return self._move(incarnation, (LIVE, FENCED), DEAD)

    def _move(self, incarnation: str, states: tuple[str, ...], state: str) -> bool:
        with write_transaction(self._engine) as connection:
            self._change_state(connection)
            moved = connection.execute(
                update(pool_members)
                .where(pool_members.c.incarnation == incarnation, pool_members.c.state.in_(states))
                .values(state=state)
            )
            return bool(moved.rowcount)

    @staticmethod
    def _change_state(connection: Connection, **values: Any) -> None:
        connection.execute(
            update(pool_state).where(pool_state.c.id == 1).values(revision=pool_state.c.revision + 1, **values)
        )


def _row_of(member: Member, state: str, now: float) -> Insert:
    return insert(pool_members).values(
        incarnation=member.incarnation,
        id=member.id,
        kind=member.kind,
        address=member.address,
        data_address=member.data_address,
        state=state,
        epoch=member.epoch,
        registered_at=now,
    )
