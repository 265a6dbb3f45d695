"""API tokens: secrets for scripts, with scopes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.digests import TOKEN_PREFIX, digest, new_token
from elastic_images.accounts.names import fold_name
from elastic_images.accounts.principal import SCOPES, Principal, scopes_of_role, widen
from elastic_images.accounts.tables import tokens, users
from elastic_images.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from elastic_images.database.prepared import PreparedQuery

_USED_EVERY_SECONDS = 60.0
_LABEL_CHARACTERS = 100
_MAX_LIFETIME_SECONDS = 100 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, without its secret."""

    id: int
    user_id: int
    user_name: str
    label: str
    scopes: frozenset[str]
    created_at: float
    last_used_at: float | None
    """Exact to a minute."""
    expires_at: float | None
    revoked_at: float | None

    def is_active(self, now: float) -> bool:
        """Neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Tokens:
    """Creates, finds and revokes tokens. Safe to share between threads.

    All methods raise Unavailable where the database does not answer.
    """

    def __init__(self, transactions: Transactions, clock: Callable[[], float]) -> None:
        self._transactions = transactions
        self._by_digest = PreparedQuery(transactions.engine, _BY_DIGEST)
        self._clock = clock

    def create(
        self, user_name: str, label: str, scopes: Iterable[str], expires_seconds: float | None = None
    ) -> tuple[Token, str]:
        """A new token and its secret, which is shown this once and not kept.

        Args:
            user_name: whose token it is.
            label: what it is for, in 1 to 100 characters.
            scopes: some of read, write, admin; write includes read, admin both.
            expires_seconds: how long it lives; None: until it is revoked.

        Raises:
            InvalidRequest: a label, scope or time that makes no sense.
            NotFound: there is no such user.
            Conflict: the user is disabled.
            Forbidden: the user's role has no such scope.
        """
        wanted = _check_scopes(scopes)
        label = _check_label(label)
        now, secret = self._clock(), new_token()
        expires_at = None if expires_seconds is None else now + _check_lifetime(expires_seconds)
        with self._transactions.write() as connection:
            user = _owner(connection, user_name)
            if not wanted <= scopes_of_role(user["role"]):
                raise Forbidden(f"{user['name']!r} is no administrator and can have no token with the scope 'admin'.")
            connection.execute(
                insert(tokens).values(
                    digest=digest(secret),
                    user_id=user["id"],
                    label=label,
                    scopes=",".join(scope for scope in SCOPES if scope in wanted),
                    created_at=now,
                    expires_at=expires_at,
                )
            )
            row = connection.execute(_TOKENS.where(tokens.c.digest == digest(secret))).mappings().one()
            return _token(row), secret

    def find(self, secret: str) -> Principal | None:
        """Who has the token, with what token and role both allow; None where it is none, over or revoked."""
        if not secret.startswith(TOKEN_PREFIX):
            return None
        now = self._clock()
        found = self._transactions.first(self._by_digest, digest=digest(secret))
        if found is None:
            return None
        row = dict(zip(_BY_DIGEST_NAMES, found, strict=True))
        token = _token(row)
        if not token.is_active(now):
            return None
        if row["last_used_at"] is None or now - row["last_used_at"] >= _USED_EVERY_SECONDS:
            # A convenience for people; nobody is refused because it could not be noted.
            with contextlib.suppress(Unavailable), self._transactions.write() as connection:
                connection.execute(update(tokens).where(tokens.c.id == row["id"]).values(last_used_at=now))
        return Principal(row["user_id"], row["user_name"], token.scopes & scopes_of_role(row["role"]), "token")

    def list(self, user_name: str | None = None) -> tuple[Token, ...]:
        """The tokens of a user, or of all; newest first, with those that are revoked or over."""
        query = _TOKENS.order_by(tokens.c.id.desc())
        if user_name is not None:
            query = query.where(users.c.folded_name == fold_name(user_name))
        with self._transactions.read() as connection:
            return tuple(_token(row) for row in connection.execute(query).mappings())

    def revoke(self, token_id: int, user_id: int | None = None) -> Token:
        """Revoke a token; once more changes nothing. `user_id`: only where it is his.

        Raises:
            NotFound: there is no such token.
        """
        query = _TOKENS.where(tokens.c.id == token_id)
        if user_id is not None:
            query = query.where(tokens.c.user_id == user_id)
        with self._transactions.write() as connection:
            if connection.execute(query).first() is None:
                raise NotFound(f"There is no token {token_id}.")
            connection.execute(
                update(tokens)
                .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            return _token(connection.execute(query).mappings().one())


_TOKENS = select(tokens, users.c.name.label("user_name")).join(users, users.c.id == tokens.c.user_id)
# Asked at each request of a script: prepared it costs 21 us and not 76 (processor time, best of 50).
_BY_DIGEST = _TOKENS.add_columns(users.c.role).where(
    tokens.c.digest == bindparam("digest"), users.c.disabled.is_(False)
)
_BY_DIGEST_NAMES = _BY_DIGEST.selected_columns.keys()


def _token(row: Mapping[Any, Any]) -> Token:
    values = {name: row[name] for name in Token.__dataclass_fields__}
    return Token(**values | {"scopes": widen(row["scopes"].split(","))})


def _owner(connection: Connection, name: str) -> RowMapping:
    row = connection.execute(select(users).where(users.c.folded_name == fold_name(name))).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no user {name[:64]!r}.")
    if row["disabled"]:
        raise Conflict(f"The user {row['name']!r} is disabled.")
    return row


def _check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(scopes)
    if not wanted or not wanted <= frozenset(SCOPES):
        raise InvalidRequest(f"A token has one or more of the scopes {', '.join(SCOPES)}.")
    return widen(wanted)


def _check_label(label: str) -> str:
    if not 1 <= len(label.strip()) <= _LABEL_CHARACTERS or not label.isprintable():
        raise InvalidRequest(f"A token's label has 1 to {_LABEL_CHARACTERS} printable characters.")
    return label.strip()


def _check_lifetime(seconds: float) -> float:
    if not (math.isfinite(seconds) and 0 < seconds <= _MAX_LIFETIME_SECONDS):
        raise InvalidRequest("A token's lifetime is above 0 seconds and at most 100 years.")
    return seconds
