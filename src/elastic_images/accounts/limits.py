"""Limits on failed logins per account and per address, counted in the database across all processes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.hosts import parse_address
from elastic_images.accounts.names import fold_name
from elastic_images.accounts.tables import login_attempts
from elastic_images.core.errors import TooManyRequests, Unavailable

_TRIES = 8


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How many attempts may fail within a window that starts with the first one."""

    account_failures: int = 10
    address_failures: int = 30
    """Higher than per account: a whole office may share an address."""
    window_seconds: float = 900.0


class LoginAttempts:
    """Counts attempts. Thread-safe and process-safe.

    An attempt counts before its password is checked; otherwise a hundred parallel attempts would all pass.
    """

    def __init__(
        self, transactions: Transactions, clock: Callable[[], float], limits: LoginLimits | None = None
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._limits = limits or LoginLimits()

    def begin(self, name: str, address: str) -> None:
        """Count an attempt as failed until `succeeded` is called.

        Raises:
            TooManyRequests: the account or address has no attempts left; this one is not counted.
            Unavailable: the database is not responding.
        """
        for _ in range(_TRIES):
            try:
                with self._transactions.write() as connection:
                    # A fixed order prevents deadlocks.
                    for subject, limit in sorted(self._subjects(name, address).items()):
                        self._count(connection, subject, limit)
            except IntegrityError:
                continue  # another process inserted the row first
            return
        raise Unavailable("Too many people are logging in at once.")

    def succeeded(self, name: str, address: str) -> None:
        """Clear the account's failures and uncount this attempt for the address."""
        with self._transactions.write() as connection:
            over = self._clock() - self._limits.window_seconds
            connection.execute(delete(login_attempts).where(login_attempts.c.window_started_at < over))
        with self._transactions.write() as connection:
            connection.execute(delete(login_attempts).where(login_attempts.c.subject == _account(name)))
            connection.execute(
                update(login_attempts)
                .where(login_attempts.c.subject == _address(address), login_attempts.c.attempts > 0)
                .values(attempts=login_attempts.c.attempts - 1)
            )

    def _subjects(self, name: str, address: str) -> dict[str, int]:
        return {
            _account(name): self._limits.account_failures,
            _address(address): self._limits.address_failures,
        }

    def _count(self, connection: Connection, subject: str, limit: int) -> None:
        now = self._clock()
        row = connection.execute(
            select(login_attempts).where(login_attempts.c.subject == subject).with_for_update()
        ).one_or_none()
        if row is None:
            connection.execute(insert(login_attempts).values(subject=subject, attempts=1, window_started_at=now))
            return
        rest = row.window_started_at + self._limits.window_seconds - now
        if rest <= 0:
            values = {"attempts": 1, "window_started_at": now}
        elif row.attempts < limit:
            values = {"attempts": row.attempts + 1}
        else:
            raise TooManyRequests(
                "Too many failed logins. Try again later.", retry_after_seconds=max(1, math.ceil(rest))
            )
        connection.execute(update(login_attempts).where(login_attempts.c.subject == subject).values(values))


def _account(name: str) -> str:
    # Hashed: people type passwords into the name field, and unknown names can have any length.
    return "account:" + hashlib.sha256(fold_name(name).encode("utf-8", "surrogateescape")).hexdigest()


def _address(text: str) -> str:
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"address:{ip_network((address, 64), strict=False)}"  # one subscriber owns a whole /64
    return f"address:{address}" if address else "address:unknown"
