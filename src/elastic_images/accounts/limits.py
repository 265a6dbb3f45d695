"""Limits on failed logins, counted in the database across all processes.

Wrong passwords from elsewhere must not lock people out of their account. It follows OWASP's "Slow Down Online Guessing
Attacks with Device Cookies".
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.hosts import parse_address
from elastic_images.accounts.names import fold_name
from elastic_images.accounts.refused_logins import RefusedLogins
from elastic_images.accounts.tables import login_attempts
from elastic_images.core.errors import TooManyRequests, Unavailable

_TRIES = 8


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How many attempts may fail within a window that starts with the first one."""

    pair_failures: int = 10
    """For an account from one address, or from one browser that logged in to it before."""
    account_failures: int = 100
    """For an account as a whole: it keeps out neither such browsers nor addresses without failures."""
    address_failures: int = 100
    """For an address as a whole: a whole office may share one."""
    window_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries to log in, and from where."""

    name: str
    address: str
    browser: str | None = None
    """What identifies a browser that logged in to this account before (`known_browsers`), else None.

    Its attempts are counted by themselves, so nobody else can keep it out.
    """


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
        self._refused = RefusedLogins(clock)

    def retry_after(self, attempt: Attempt) -> int | None:
        """After how many seconds to try again, if one like it was refused just now. Asks no database."""
        return self._refused.retry_after(self._subjects(attempt))

    def begin(self, attempt: Attempt) -> None:
        """Count an attempt as failed until `succeeded` is called.

        Raises:
            TooManyRequests: there have been too many; this one is not counted.
            Unavailable: the database is not responding.
        """
        subjects = self._subjects(attempt)
        if (seconds := self._refused.retry_after(subjects)) is not None:
            raise _too_many(seconds)
        # Most of a flood is refused here, without waiting for SQLite's one writer.
        with self._transactions.read() as connection:
            self._refuse_too_many(attempt, _rows(connection, subjects))
        for _ in range(_TRIES):
            try:
                with self._transactions.write() as connection:
                    rows = _rows(connection, subjects, lock=True)
                    self._refuse_too_many(attempt, rows)
                    for subject in subjects:
                        self._count(connection, subject, rows.get(subject))
            except IntegrityError:
                continue  # another process inserted the row first
            return
        raise Unavailable("Too many people are logging in at once.")

    def succeeded(self, attempt: Attempt) -> None:
        """Clear the failures of this account and address, or browser, and uncount this attempt elsewhere."""
        own, *shared = self._subjects(attempt)
        with self._transactions.write() as connection:
            over = self._clock() - self._limits.window_seconds
            connection.execute(delete(login_attempts).where(login_attempts.c.window_started_at < over))
        with self._transactions.write() as connection:
            connection.execute(delete(login_attempts).where(login_attempts.c.subject == own))
            for subject in sorted(shared):
                connection.execute(
                    update(login_attempts)
                    .where(login_attempts.c.subject == subject, login_attempts.c.attempts > 0)
                    .values(attempts=login_attempts.c.attempts - 1)
                )
        self._refused.forget(self._subjects(attempt))

    def _subjects(self, attempt: Attempt) -> dict[str, int]:
        """What the attempt is counted for, and how many may fail; first what it alone counts for."""
        limits = self._limits
        account, address = _account(attempt.name), source_of(attempt.address)
        if attempt.browser is not None:
            return {f"browser:{_hash(account + attempt.browser)}": limits.pair_failures}
        return {
            f"pair:{_hash(account + address)}": limits.pair_failures,
            account: limits.account_failures,
            address: limits.address_failures,
        }

    def _refuse_too_many(self, attempt: Attempt, rows: Mapping[str, Row[Any]]) -> None:
        now, window = self._clock(), self._limits.window_seconds
        left = {
            subject: row.window_started_at + window - now
            for subject, row in rows.items()
            if row.attempts and row.window_started_at + window > now
        }
        full = {
            subject: left[subject]
            for subject, limit in self._subjects(attempt).items()
            if subject in left and rows[subject].attempts >= limit
        }
        if source_of(attempt.address) not in left:
            full.pop(_account(attempt.name), None)
        if full:
            seconds = max(full.values())
            address, own = source_of(attempt.address), next(iter(self._subjects(attempt)))
            self._refused.note(address if address in full else own, seconds)
            raise _too_many(max(1, math.ceil(seconds)))

    def _count(self, connection: Connection, subject: str, row: Row[Any] | None) -> None:
        now = self._clock()
        if row is None:
            connection.execute(insert(login_attempts).values(subject=subject, attempts=1, window_started_at=now))
            return
        over = row.window_started_at + self._limits.window_seconds <= now
        values = {"attempts": 1, "window_started_at": now} if over else {"attempts": row.attempts + 1}
        connection.execute(update(login_attempts).where(login_attempts.c.subject == subject).values(values))


def _too_many(seconds: int) -> TooManyRequests:
    return TooManyRequests("Too many failed logins. Try again later.", retry_after_seconds=seconds)


def _rows(connection: Connection, subjects: Iterable[str], *, lock: bool = False) -> dict[str, Row[Any]]:
    # A fixed order prevents deadlocks.
    query = select(login_attempts).where(login_attempts.c.subject.in_(subjects)).order_by(login_attempts.c.subject)
    return {row.subject: row for row in connection.execute(query.with_for_update() if lock else query)}


def _account(name: str) -> str:
    # Hashed: people type passwords into the name field, and unknown names can have any length.
    return f"account:{_hash(fold_name(name))}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def source_of(text: str) -> str:
    """The address, or the network, that counts as one client."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"address:{ip_network((address, 64), strict=False)}"  # one subscriber owns a whole /64
    return f"address:{address}" if address else "address:unknown"
