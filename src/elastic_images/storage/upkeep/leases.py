"""Leases in the database for upkeep that runs once at a time, in whichever process: `backup` and `scrub`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, Engine, select, update

from elastic_images.core.errors import Conflict
from elastic_images.storage.catalog.tables import upkeep_leases
from elastic_images.storage.catalog.transactions import RetryingTransactions

_log = logging.getLogger(__name__)
Name = Literal["backup", "scrub", "examine"]
LEASE_SECONDS = 120.0


class UpkeepLeases:
    """Takes and renews leases. Safe to share between threads; clocks of several machines must agree within seconds."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._transactions = RetryingTransactions(engine)
        self._clock = clock

    def acquire(self, name: Name, holder: str, *, gone: Collection[str] = ()) -> bool:
        """Take or renew the lease for 120 s. False if somebody else holds it, who is not one of `gone`."""
        now = self._clock()
        free = (upkeep_leases.c.until <= now) | upkeep_leases.c.holder.in_([holder, *gone])
        taken = (
            update(upkeep_leases)
            .where(upkeep_leases.c.name == name, free)
            .values(holder=holder, until=now + LEASE_SECONDS)
        )
        return bool(self._transactions.write(lambda connection: connection.execute(taken).rowcount) == 1)

    def release(self, name: Name, holder: str) -> None:
        """Give the lease back; nothing happens if somebody else holds it."""
        mine = (upkeep_leases.c.name == name) & (upkeep_leases.c.holder == holder)
        self._transactions.write(
            lambda connection: connection.execute(update(upkeep_leases).where(mine).values(until=0))
        )

    @contextmanager
    def held(self, name: Name, holder: str, *, gone: Collection[str] = ()) -> Iterator[Callable[[], None]]:
        """Hold the lease while the block runs, renewed by a thread. Gives a function that raises if it was lost.

        `gone`: earlier holders that are known to have ended without giving it back.

        Raises:
            Conflict: somebody else holds it; or, from the function, it could not be renewed in time.
        """
        if not self.acquire(name, holder, gone=gone):
            raise Conflict(f"Another {name} is running on this system, or was killed less than two minutes ago.")
        valid_until = [time.monotonic() + LEASE_SECONDS]
        stop = threading.Event()

        def renew() -> None:
            while not stop.wait(LEASE_SECONDS / 4):
                began = time.monotonic()
                try:
                    renewed = self.acquire(name, holder)
                except Exception:  # noqa: BLE001 - the database may answer next time; `check` notices if it does not
                    _log.warning("the lease of %s could not be renewed", name, exc_info=True)
                else:
                    valid_until[0] = began + LEASE_SECONDS if renewed else 0.0

        def check() -> None:
            if time.monotonic() > valid_until[0]:
                raise Conflict(f"The {name} lost its lease: the database did not answer in time. Run it again.")

        thread = threading.Thread(target=renew, name=f"{name}-lease", daemon=True)
        thread.start()
        try:
            yield check
        finally:
            stop.set()
            thread.join()
            self.release(name, holder)


def is_held(connection: Connection, name: Name, now: float) -> bool:
    """Whether the lease is held, in a transaction of the caller's that nobody can take it in until that ends."""
    query = select(upkeep_leases.c.until).where(upkeep_leases.c.name == name).with_for_update()
    return bool(connection.execute(query).scalar_one() > now)
