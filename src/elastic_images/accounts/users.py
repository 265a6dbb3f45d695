"""Users, stored in the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.names import check_name, fold_name
from elastic_images.accounts.passwords import Passwords
from elastic_images.accounts.principal import ROLES, Role
from elastic_images.accounts.tables import sessions, signing_keys, tokens, users
from elastic_images.core.errors import Conflict, InvalidRequest, NotFound


@dataclass(frozen=True, slots=True)
class User:
    """A user, without the password."""

    id: int
    name: str
    role: Role
    disabled: bool
    created_at: float


class Users:
    """Creates and changes users. Thread-safe; every method is one transaction.

    Names are case-insensitive (`names.fold_name`). All methods raise NotFound for an unknown name, and Unavailable if
    the database is not responding.
    """

    def __init__(self, transactions: Transactions, passwords: Passwords, clock: Callable[[], float]) -> None:
        self._transactions = transactions
        self._passwords = passwords
        self._clock = clock

    def add(self, name: str, password: str, role: str = "user") -> User:
        """Create a user.

        Raises:
            InvalidRequest: an invalid name, password or role.
            Conflict: the name is taken, ignoring case.
        """
        values = {
            "name": check_name(name),
            "folded_name": fold_name(name),
            "role": check_role(role),
            "password_hash": self._new_hash(name, password),
            "disabled": False,
            "created_at": self._clock(),
        }
        try:
            with self._transactions.write() as connection:
                connection.execute(insert(users).values(values))
                return _find(connection, name)
        except IntegrityError:
            raise Conflict(f"The user name {name!r} is taken.") from None

    def list(self) -> tuple[User, ...]:
        """All users, by name."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(users).order_by(users.c.folded_name)).mappings()
            return tuple(_user(row) for row in rows)

    def get(self, name: str) -> User:
        """The user with this name."""
        with self._transactions.read() as connection:
            return _find(connection, name)

    def change(
        self, name: str, *, role: str | None = None, disabled: bool | None = None, password: str | None = None
    ) -> User:
        """Change any of these, all or nothing; None leaves a value unchanged.

        A new password ends all of the user's sessions; their tokens and signing keys stay valid. Disabling ends the
        sessions and revokes the tokens and signing keys, which stay revoked.

        Raises:
            InvalidRequest: an invalid role or password.
            Conflict: no enabled administrator would remain.
        """
        values = {
            "role": None if role is None else check_role(role),
            "disabled": disabled,
            "password_hash": None if password is None else self._new_hash(name, password),
        }
        with self._transactions.revocation() as connection:
            self._keep_an_administrator(connection, name, loses=bool(disabled) or role == "user")
            user = _find(connection, name)
            given = {column: value for column, value in values.items() if value is not None}
            if given:
                connection.execute(update(users).where(users.c.id == user.id).values(given))
            if disabled:
                self._revoke(connection, user.id)
            elif password is not None:
                connection.execute(delete(sessions).where(sessions.c.user_id == user.id))
            return _find(connection, name)

    def revoke_all(self, name: str) -> User:
        """End all of a user's sessions and revoke all their tokens and signing keys."""
        with self._transactions.revocation() as connection:
            user = _find(connection, name)
            self._revoke(connection, user.id)
            return user

    def _new_hash(self, name: str, password: str) -> str:
        self._passwords.check(password, name)
        return self._passwords.hash(password)

    def _keep_an_administrator(self, connection: Connection, name: str, *, loses: bool) -> None:
        # Lock all administrators, so that two who disable each other at the same time cannot both succeed.
        admins = select(users.c.folded_name).where(users.c.role == "admin", users.c.disabled.is_(False))
        active = connection.execute(admins.order_by(users.c.id).with_for_update()).scalars().all()
        if loses and active == [fold_name(name)]:
            raise Conflict(f"{name!r} is the last administrator.")

    def _revoke(self, connection: Connection, user_id: int) -> None:
        connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
        for table in (tokens, signing_keys):
            connection.execute(
                update(table)
                .where(table.c.user_id == user_id, table.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )


def check_role(role: str) -> Role:
    """Return the role if it is valid. Raises InvalidRequest."""
    for known in ROLES:
        if role == known:
            return known
    raise InvalidRequest(f"The role must be {' or '.join(ROLES)}, not {role[:40]!r}.")


def _find(connection: Connection, name: str) -> User:
    row = connection.execute(select(users).where(users.c.folded_name == fold_name(name))).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no user {name[:64]!r}.")
    return _user(row)


def _user(row: RowMapping) -> User:
    return User(row["id"], row["name"], row["role"], bool(row["disabled"]), row["created_at"])
