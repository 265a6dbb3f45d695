"""The entry point to users, sessions and tokens, for the apps and the command line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from sqlalchemy import Engine, select, update

from elastic_images.accounts.database import Transactions
from elastic_images.accounts.hash_places import Place
from elastic_images.accounts.limits import Attempt, LoginAttempts, LoginLimits, source_of
from elastic_images.accounts.names import fold_name
from elastic_images.accounts.passwords import Passwords
from elastic_images.accounts.principal import Credential, Principal
from elastic_images.accounts.sessions import NewSession, Session, Sessions
from elastic_images.accounts.signing_keys import SigningKeys
from elastic_images.accounts.tables import users
from elastic_images.accounts.tokens import Tokens
from elastic_images.accounts.users import Users
from elastic_images.core.errors import Unauthenticated
from elastic_images.database.engine import open_engine
from elastic_images.settings import Settings

_log = logging.getLogger(__name__)


class Accounts:
    """Users, sessions, tokens and signing keys in one database. Thread-safe.

    Attributes:
        users: create and change users.
        sessions: list and end sessions.
        tokens: create, list and revoke API tokens.
        signing_keys: create, list, rotate and revoke keys that sign links; they need the installation's `secret_key`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        session_seconds: float,
        secret_key: str = "",
        clock: Callable[[], float] = time.time,
        passwords: Passwords | None = None,
        limits: LoginLimits | None = None,
    ) -> None:
        self._transactions = Transactions(engine)
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._attempts = LoginAttempts(self._transactions, clock, limits)
        self.users = Users(self._transactions, self._passwords, clock)
        self.sessions = Sessions(self._transactions, clock, session_seconds)
        self.tokens = Tokens(self._transactions, clock)
        self.signing_keys = SigningKeys(self._transactions, clock, secret_key)

    def log_in(
        self, name: str, password: str, *, address: str = "", user_agent: str = "", browser: str | None = None
    ) -> NewSession:
        """Start a session. Unknown name, wrong password and disabled user give the same error after the same time.

        `browser`: see `limits.Attempt`.

        Raises:
            Unauthenticated: any of these three.
            TooManyRequests: too many failed attempts (`limits`).
            Unavailable: the database is not responding, or too many people are logging in at once.
        """
        user_id = self.check_password(name, password, address=address, browser=browser)
        return self.sessions.start(user_id, address, user_agent)

    def check_password(self, name: str, password: str, *, address: str = "", browser: str | None = None) -> int:
        """The id of the user with this name and password. Counts as a login attempt; raises like `log_in`."""
        # Admitted before the database is asked, so that a flood does not take all places for forms.
        with self._passwords.places.admitted(None if browser else source_of(address)) as place:
            return self._check(Attempt(name, address, browser), password, place)

    def _check(self, attempt: Attempt, password: str, place: Place) -> int:
        name, address = attempt.name, attempt.address
        self._attempts.begin(attempt)
        with self._transactions.read() as connection:
            row = connection.execute(select(users).where(users.c.folded_name == fold_name(name))).one_or_none()
        right = self._passwords.verify(row.password_hash if row else None, password, place)
        if row is None or not right or row.disabled:
            if attempt.browser is None:
                self._passwords.places.failed(source_of(address))
            _log.info("login refused: user %s, from %s", row.id if row else "unknown", address)
            raise Unauthenticated("Wrong name or password.")
        self._attempts.succeeded(attempt)
        if self._passwords.needs_rehash(row.password_hash):
            self._keep_hash(row.id, row.password_hash, self._passwords.hash(password))
        return int(row.id)

    def login_retry_after(self, name: str, *, address: str, browser: str | None) -> int | None:
        """After how many seconds to try again, if such a login was refused just now for being one too many.

        Asks no database. None says nothing.
        """
        return self._attempts.retry_after(Attempt(name, address, browser))

    def of_session(self, secret: str) -> tuple[Session, Principal] | None:
        """The session of a cookie and its user, or None."""
        return self.sessions.find(secret)

    def of_token(self, secret: str) -> Principal | None:
        """The owner of an API token, or None."""
        return self.tokens.find(secret)

    def of_credentials(self, credentials: Collection[Credential]) -> dict[Credential, Principal]:
        """The users of many sessions and tokens at once; those of invalid ones are left out."""
        found: dict[Credential, Principal] = {}
        for via, find in (("session", self.sessions.find_all), ("token", self.tokens.find_all)):
            digests = [credential.digest for credential in credentials if credential.via == via]
            found |= {Credential(principal.via, digest): principal for digest, principal in find(digests).items()}
        return found

    def write_uses(self) -> None:
        """Write which sessions, tokens and keys this process saw used; it does so by itself while it sees more."""
        for uses in (self.sessions.uses, self.tokens.uses, self.signing_keys.uses):
            uses.write(self._clock())

    def when_revoked(self, call: Callable[[], object]) -> None:
        """Have `call` called whenever this process has ended sessions, revoked tokens, or changed users."""
        self._transactions.after_revocation = call

    def check_database(self) -> None:
        """Raises Unavailable if the database is not responding."""
        with self._transactions.read() as connection:
            connection.execute(select(users.c.id).limit(1))

    def close(self) -> None:
        """Close the database connections."""
        self._transactions.engine.dispose()

    def _keep_hash(self, user_id: int, old: str, new: str) -> None:
        # Replace only the hash that was checked: the password may have changed since.
        with self._transactions.write() as connection:
            connection.execute(
                update(users).where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
            )


def open_accounts(settings: Settings) -> Accounts:
    """The accounts of an installation. Connects to the database on first use; call `close` when done."""
    return Accounts(
        open_engine(settings.database, pool_size=4),
        session_seconds=settings.session_hours * 3600.0,
        secret_key=settings.secret_key,
    )
