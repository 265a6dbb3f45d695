"""Sessions are database rows, so they can be listed and revoked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.digests import digest, new_secret
from elastic_images.accounts.principal import Principal, scopes_of_role
from elastic_images.accounts.tables import sessions, users
from elastic_images.accounts.uses import Uses
from elastic_images.core.errors import NotFound
from elastic_images.database.prepared import PreparedQuery

_AGENT_CHARACTERS = 255
_ADDRESS_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Session:
    """A login. `form_token` proves that a form is ours when the browser sends nothing else (`cross_site`)."""

    id: int
    user_id: int
    user_name: str
    form_token: str = field(repr=False)
    created_at: float
    last_seen_at: float
    expires_at: float
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A new session with its cookie secret, which is stored nowhere else."""

    secret: str = field(repr=False)
    session: Session
    principal: Principal


class Sessions:
    """Starts, finds and ends sessions. Thread-safe.

    A session expires `lifetime_seconds` after login, regardless of activity. All methods raise Unavailable if the
    database is not responding.
    """

    def __init__(self, transactions: Transactions, clock: Callable[[], float], lifetime_seconds: float) -> None:
        self._transactions = transactions
        self.uses = Uses(transactions, sessions.c.id, sessions.c.last_seen_at)
        self._by_digest = PreparedQuery(transactions.engine, _BY_DIGEST)
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds

    def start(self, user_id: int, address: str = "", user_agent: str = "") -> NewSession:
        """Start a session for a user whose password was correct. Also deletes expired sessions."""
        secret, now = new_secret(), self._clock()
        with self._transactions.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            connection.execute(
                insert(sessions).values(
                    digest=digest(secret),
                    user_id=user_id,
                    form_token=new_secret(),
                    created_at=now,
                    last_seen_at=now,
                    expires_at=now + self._lifetime_seconds,
                    address=_printable(address)[:_ADDRESS_CHARACTERS],
                    user_agent=_printable(user_agent)[:_AGENT_CHARACTERS],
                )
            )
        found = self.find(secret)
        if found is None:
            raise NotFound("The user does not exist or is disabled.")
        session, principal = found
        return NewSession(secret, session, principal)

    def find(self, secret: str) -> tuple[Session, Principal] | None:
        """The session of a cookie and its user; None if it expired or was revoked, or the user is disabled."""
        now = self._clock()
        found = self._transactions.first(self._by_digest, digest=digest(secret), now=now)
        if found is None:
            return None
        row = dict(zip(_BY_DIGEST_NAMES, found, strict=True))
        return _session(row), self._principal(row, now)

    def find_all(self, digests: Sequence[str]) -> dict[str, Principal]:
        """The users of many sessions at once, by the digests of their cookies."""
        now = self._clock()
        query = _WITH_ROLE.where(sessions.c.expires_at > now, users.c.disabled.is_(False))
        rows = self._transactions.rows_by(query, sessions.c.digest, digests)
        return {row["digest"]: self._principal(row, now) for row in rows}

    def _principal(self, row: Mapping[Any, Any], now: float) -> Principal:
        self.uses.note(row["id"], row["last_seen_at"], now)
        return Principal(row["user_id"], row["user_name"], scopes_of_role(row["role"]), "session")

    def list(self, user_id: int) -> tuple[Session, ...]:
        """A user's active sessions, newest first."""
        query = _SESSIONS.where(sessions.c.user_id == user_id, sessions.c.expires_at > self._clock())
        with self._transactions.read() as connection:
            rows = connection.execute(query.order_by(sessions.c.id.desc())).mappings()
            return tuple(_session(row) for row in rows)

    def revoke(self, session_id: int, user_id: int) -> None:
        """End one of a user's sessions. Raises NotFound if they have none with this id."""
        with self._transactions.revocation() as connection:
            ended = connection.execute(
                delete(sessions).where(sessions.c.id == session_id, sessions.c.user_id == user_id)
            )
        if not ended.rowcount:
            raise NotFound("There is no such session.")

    def end(self, secret: str) -> None:
        """End the session of a cookie, if there is one."""
        with self._transactions.revocation() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == digest(secret)))


_SESSIONS = select(sessions, users.c.name.label("user_name")).join(users, users.c.id == sessions.c.user_id)

_WITH_ROLE = _SESSIONS.add_columns(users.c.role)
_BY_DIGEST = _WITH_ROLE.where(
    sessions.c.digest == bindparam("digest"), sessions.c.expires_at > bindparam("now"), users.c.disabled.is_(False)
)
_BY_DIGEST_NAMES = _BY_DIGEST.selected_columns.keys()


def _session(row: Mapping[Any, Any]) -> Session:
    return Session(**{name: row[name] for name in Session.__dataclass_fields__})


def _printable(text: str) -> str:
    """Replace control characters and lone surrogates, which some databases reject."""
    return "".join(character if character.isprintable() else " " for character in text)
