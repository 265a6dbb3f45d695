"""When sessions, tokens and signing keys were last used, to the minute: for display only."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from sqlalchemy import Column, update

from elastic_images.accounts.database import Transactions
from elastic_images.core.errors import Unavailable

_NOTED_EVERY_SECONDS = 60.0
_WRITTEN_EVERY_SECONDS = 1.0


class Uses:
    """Notes uses, and writes those of a second in one transaction: thousands may use theirs in the same minute.

    Thread-safe. Never fails.
    """

    def __init__(self, transactions: Transactions, row_id: Column[Any], used_at: Column[Any]) -> None:
        self._transactions = transactions
        self._row_id, self._used_at = row_id, used_at
        self._noted: set[Any] = set()
        self._written_at = float("-inf")
        self._lock = threading.Lock()

    def note(self, row_id: Any, last_used_at: float | None, now: float) -> None:
        """A row was used, which says `last_used_at`. Written now, or by a later call within a second or so."""
        if last_used_at is not None and now - last_used_at < _NOTED_EVERY_SECONDS:
            return
        with self._lock:
            self._noted.add(row_id)
            if 0 <= now - self._written_at < _WRITTEN_EVERY_SECONDS:
                return
        self.write(now)

    def write(self, now: float) -> None:
        """Write what was noted."""
        with self._lock:
            noted, self._noted = self._noted, set()
            if not noted:
                return
            self._written_at = now
        with contextlib.suppress(Unavailable), self._transactions.write() as connection:
            connection.execute(update(self._used_at.table).where(self._row_id.in_(noted)).values({self._used_at: now}))
