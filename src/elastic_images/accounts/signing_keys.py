"""Signing keys: with one, a user's own programs make links that open images for whoever has the link."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.names import fold_name
from elastic_images.accounts.principal import Principal, scopes_of_role
from elastic_images.accounts.tables import signing_keys, users
from elastic_images.accounts.tokens import check_label, owner_row
from elastic_images.accounts.uses import Uses
from elastic_images.core.errors import Conflict, NotFound
from elastic_images.core.signed_links import is_key_id, sign
from elastic_images.database.prepared import PreparedQuery

OWN_NAME = "links"
"""Of the key of an account that signs the links made here (`SigningKeys.own`)."""
MAX_KEYS = 20
"""Of an account, those not revoked."""
_KEPT_REVOKED = 50


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, without its secret."""

    kid: str
    """Its id: 8 hex digits."""
    user_id: int
    user_name: str
    name: str
    created_at: float
    last_used_at: float | None
    """To the minute."""
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class SigningAccount:
    """Who a link speaks for: the account of its key, with the rights that it has now."""

    kid: str
    secret: str = field(repr=False)
    """Signs links that open images. Its owner knows it."""
    upload_secret: str = field(repr=False)
    """Signs upload links. Nobody knows it but we: a secret that leaks lets nobody write."""
    principal: Principal
    last_used_at: float | None


class SigningKeys:
    """Creates, finds, rotates and revokes keys. Thread-safe.

    The secrets are in no table: they follow from the installation's secret key and a row's salt. All methods raise
    Unavailable if the database is not responding.
    """

    def __init__(self, transactions: Transactions, clock: Callable[[], float], secret_key: str) -> None:
        self._transactions = transactions
        self.uses = Uses(transactions, signing_keys.c.kid, signing_keys.c.last_used_at)
        self._by_kid = PreparedQuery(transactions.engine, _BY_KID)
        self._clock = clock
        self._secret_key = secret_key

    def create(self, user_name: str, name: str) -> tuple[SigningKey, str]:
        """A new key of a user and its secret, which is shown only now.

        Raises:
            InvalidRequest: an invalid name.
            NotFound: there is no such user.
            Conflict: the user is disabled, or has as many keys as they may.
        """
        name = check_label(name, "A key's")
        with self._transactions.write() as connection:
            user_id = int(owner_row(connection, user_name)["id"])
            count = select(func.count()).where(signing_keys.c.user_id == user_id, signing_keys.c.revoked_at.is_(None))
            if connection.execute(count).scalar_one() >= MAX_KEYS:
                raise Conflict(f"A user has at most {MAX_KEYS} signing keys: revoke one that is not needed.")
            return self._add(connection, user_id, name)

    def find(self, kid: str) -> SigningAccount | None:
        """The account that a key speaks for; None if the key is unknown or revoked, or its user disabled."""
        found = self._transactions.first(self._by_kid, kid=kid) if is_key_id(kid) else None
        if found is None:
            return None
        row = dict(zip(_BY_KID_NAMES, found, strict=True))
        principal = Principal(row["user_id"], row["user_name"], scopes_of_role(row["role"]), "link")
        secret, upload_secret = (self._secret(kind, row) for kind in ("signing-key", "upload-key"))
        return SigningAccount(kid, secret, upload_secret, principal, row["last_used_at"])

    def note_use(self, account: SigningAccount) -> None:
        """Keep when a key opened something. For display only: never fails."""
        self.uses.note(account.kid, account.last_used_at, self._clock())

    def own(self, user_name: str) -> SigningAccount:
        """The account with the key that signs the links made here, a new one if there is none.

        It is listed like any other; who revokes it ends all of these links.

        Raises:
            NotFound, Conflict: there is no such user, or they are disabled.
        """
        with self._transactions.write() as connection:
            user_id = int(owner_row(connection, user_name)["id"])
            mine = _KEYS.where(
                signing_keys.c.user_id == user_id,
                signing_keys.c.name == OWN_NAME,
                signing_keys.c.revoked_at.is_(None),
            )
            row = connection.execute(mine.order_by(signing_keys.c.created_at.desc())).mappings().first()
            kid = row["kid"] if row else self._add(connection, user_id, OWN_NAME)[0].kid
        found = self.find(kid)
        if found is None:
            raise Conflict("The signing key was revoked meanwhile: try again.")
        return found

    def list(self, user_name: str | None = None) -> tuple[SigningKey, ...]:
        """A user's keys, or everyone's, newest first, including revoked ones."""
        query = _KEYS.order_by(signing_keys.c.created_at.desc(), signing_keys.c.kid)
        if user_name is not None:
            query = query.where(users.c.folded_name == fold_name(user_name))
        with self._transactions.read() as connection:
            return tuple(_key(row) for row in connection.execute(query).mappings())

    def rotate(self, kid: str, user_id: int | None = None) -> tuple[SigningKey, str]:
        """Revoke a key and create another one of the same name. With `user_id`, only a key of this user.

        Raises:
            NotFound: there is no such key, or it is revoked already.
            Conflict: its user is disabled.
        """
        with self._transactions.revocation() as connection:
            old = _found(connection, kid, user_id)
            if old.revoked_at is not None:
                raise NotFound(f"The signing key {kid!r} is revoked: create another one.")
            owner_row(connection, old.user_name)
            self._revoke(connection, kid)
            return self._add(connection, old.user_id, old.name)

    def revoke(self, kid: str, user_id: int | None = None) -> SigningKey:
        """Revoke a key: its links open nothing from now on. Idempotent. With `user_id`, only a key of this user.

        Raises:
            NotFound: there is no such key.
        """
        with self._transactions.revocation() as connection:
            _found(connection, kid, user_id)
            self._revoke(connection, kid)
            return _found(connection, kid, user_id)

    def _add(self, connection: Connection, user_id: int, name: str) -> tuple[SigningKey, str]:
        _forget_old(connection, user_id)
        kid = secrets.token_hex(4)
        while connection.execute(select(signing_keys.c.kid).where(signing_keys.c.kid == kid)).first() is not None:
            kid = secrets.token_hex(4)
        row = {"kid": kid, "salt": secrets.token_hex(16), "user_id": user_id, "name": name, "created_at": self._clock()}
        connection.execute(insert(signing_keys).values(row))
        return _found(connection, kid, user_id), self._secret("signing-key", row)

    def _revoke(self, connection: Connection, kid: str) -> None:
        connection.execute(
            update(signing_keys)
            .where(signing_keys.c.kid == kid, signing_keys.c.revoked_at.is_(None))
            .values(revoked_at=self._clock())
        )

    def _secret(self, kind: str, row: Mapping[str, Any]) -> str:
        if not self._secret_key:
            raise ValueError("signing keys need the installation's secret key")
        return sign(self._secret_key, f"{kind}:{row['kid']}:{row['salt']}")


_KEYS = select(signing_keys, users.c.name.label("user_name")).join(users, users.c.id == signing_keys.c.user_id)
_BY_KID: Select[Any] = _KEYS.add_columns(users.c.role).where(
    signing_keys.c.kid == bindparam("kid"), signing_keys.c.revoked_at.is_(None), users.c.disabled.is_(False)
)
_BY_KID_NAMES = _BY_KID.selected_columns.keys()


def _found(connection: Connection, kid: str, user_id: int | None) -> SigningKey:
    query = _KEYS.where(signing_keys.c.kid == kid)
    if user_id is not None:
        query = query.where(signing_keys.c.user_id == user_id)
    row = connection.execute(query).mappings().one_or_none() if is_key_id(kid) else None
    if row is None:
        raise NotFound(f"There is no signing key {kid[:20]!r}.")
    return _key(row)


def _key(row: Mapping[Any, Any]) -> SigningKey:
    return SigningKey(**{name: row[name] for name in SigningKey.__dataclass_fields__})


def _forget_old(connection: Connection, user_id: int) -> None:
    """Drop all but the last revoked keys: unknown and revoked ones are treated the same."""
    revoked = select(signing_keys.c.kid).where(
        signing_keys.c.user_id == user_id, signing_keys.c.revoked_at.is_not(None)
    )
    newest_first = revoked.order_by(signing_keys.c.revoked_at.desc()).offset(_KEPT_REVOKED).limit(1000)
    old = connection.execute(newest_first).scalars().all()
    if old:
        connection.execute(delete(signing_keys).where(signing_keys.c.kid.in_(old)))
