"""Who reads: visitors, members, the owner and an administrator, by tokens, sessions and signed links that end.

Some credentials are revoked now and then, and replaced later. From 2 s after its revocation a credential opens nothing
that a visitor may not see.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from multiprocessing.synchronize import Event
from random import Random
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

from benchmarks.checker.ledger import Totals
from benchmarks.checker.states import Viewer
from elastic_images.accounts.accounts import Accounts, open_accounts
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.signed_links import signed_query
from elastic_images.settings import Settings

ALLOWANCE_SECONDS = 2.0
_GONE_SECONDS = 5.0
"""How long a revoked credential is tried before there is another."""
_SECRET_BYTES = 200
_LINK_SECONDS = 3600
OWNER, MEMBER = "checker-owner", "checker-member"

Kind = Literal["none", "token", "session", "link"]
PLACES: tuple[tuple[Kind, Viewer], ...] = (
    ("token", "member"),
    ("session", "member"),
    ("link", "member"),
    ("token", "owner"),
    ("session", "owner"),
    ("link", "owner"),
)
"""The credentials that are revoked."""


@dataclass(frozen=True, slots=True)
class Person:
    """A reader with a credential, as it was when a read began."""

    kind: Kind
    viewer: Viewer
    secret: str = ""
    place: int | None = None
    """In `PLACES`; None: it is never revoked."""
    number: int = 0
    """How many were in this place before."""
    revoked: bool = False
    """It was revoked longer ago than the allowance."""

    def __str__(self) -> str:
        return f"{'a revoked ' if self.revoked else ''}{self.viewer} by {self.kind}"

    def dressed(self, path: str, key: str, query: str, cookie_name: str) -> tuple[str, dict[str, str]]:
        """Path with query, and headers, of a request for `key`."""
        if self.kind == "link":
            kid, _, secret = self.secret.partition(" ")
            # Rounded: the same link comes again, as one on a page does.
            ends_at = (int(time.time()) // _LINK_SECONDS + 2) * _LINK_SECONDS
            signed = signed_query(secret, kid, key, dict(parse_qsl(query)), ends_at)
            return f"{path}?{signed}", {}
        whole = f"{path}?{query}" if query else path
        if self.kind == "token":
            return whole, {"Authorization": f"Bearer {self.secret}"}
        if self.kind == "session":
            return whole, {"Cookie": f"{cookie_name}={self.secret}"}
        return whole, {}


VISITOR = Person("none", "visitor")


class Credential(NamedTuple):
    """A credential in the database: what is needed to use and to revoke it."""

    secret: str
    id: int | str
    user_id: int


class Credentials:
    """The credentials that are revoked, shared by all processes."""

    def __init__(self) -> None:
        self._lock = multiprocessing.Lock()
        self._secrets = RawArray("c", len(PLACES) * _SECRET_BYTES)
        self._numbers = RawArray("q", len(PLACES))
        self._revoking = RawArray("b", len(PLACES))
        self._revoked_at = RawArray("d", len(PLACES))

    def replace(self, place: int, secret: str) -> None:
        """A new credential is in a place."""
        with self._lock:
            start = place * _SECRET_BYTES
            self._secrets[start : start + _SECRET_BYTES] = secret.encode().ljust(_SECRET_BYTES, b"\0")
            self._numbers[place] += 1
            self._revoking[place] = False
            self._revoked_at[place] = 0.0

    def revoking(self, place: int) -> None:
        """It is about to be revoked: from now on it may open nothing."""
        with self._lock:
            self._revoking[place] = True

    def revoked(self, place: int) -> None:
        """It is revoked."""
        with self._lock:
            self._revoked_at[place] = time.monotonic()

    def person(self, place: int) -> Person:
        """Whoever has the credential that is in a place now, about to read."""
        kind, viewer = PLACES[place]
        with self._lock:
            start, revoked_at = place * _SECRET_BYTES, self._revoked_at[place]
            secret = bytes(self._secrets[start : start + _SECRET_BYTES]).rstrip(b"\0").decode()
            revoked = bool(revoked_at) and time.monotonic() > revoked_at + ALLOWANCE_SECONDS
            return Person(kind, viewer, secret, place, self._numbers[place], revoked)

    def viewers(self, person: Person) -> tuple[Viewer | None, ...]:
        """As whom a person may have been judged in a read that ended now; None: they may have been refused."""
        if person.place is None:
            return (person.viewer,)
        with self._lock:
            ending = bool(self._revoking[person.place]) or self._numbers[person.place] != person.number
        # A link is refused as such. What everybody may see, a bad token or session may show or not.
        gone: tuple[Viewer | None, ...] = (None,) if person.kind == "link" else ("visitor", None)
        if person.revoked:
            return gone
        return (person.viewer, *gone) if ending else (person.viewer,)


class People:
    """Everybody who reads. `cookie_name` is that of the installation's sessions."""

    def __init__(self, settings: Settings, admin_token: str) -> None:
        self._settings = settings
        self.credentials = Credentials()
        self._made: dict[int, Credential] = {}
        self.admin = Person("token", "admin", admin_token)
        self.owner = Person("token", "owner")
        installation = hashlib.sha256(b"cookie-name:" + settings.secret_key.encode()).hexdigest()[:12]
        self.cookie_name = f"elastic_images_{installation}"

    def make(self) -> None:
        """Add the users and their credentials."""
        with self._accounts() as accounts:
            for name in (OWNER, MEMBER):
                accounts.users.add(name, f"the password of {name}")
            _, secret = accounts.tokens.create(OWNER, "the checker's writers", ["write"])
            self.owner = Person("token", "owner", secret)
            for place in range(len(PLACES)):
                self._renew(accounts, place)

    def draw(self, chance: Random, *, api: bool = False) -> Person:
        """Somebody who reads; of those who may call the API if `api`."""
        drawn = chance.random()
        if drawn < 0.15:
            return self.admin if drawn < 0.05 else self.owner
        if drawn < 0.5 and not api:
            return VISITOR
        places = [place for place, (kind, _) in enumerate(PLACES) if kind != "link" or not api]
        return self.credentials.person(chance.choice(places))

    def viewers(self, person: Person) -> tuple[Viewer | None, ...]:
        """See `Credentials`."""
        return self.credentials.viewers(person)

    def revoke(self, totals: Totals, stop: Event, chance: Random) -> None:
        """Revoke a credential every second or so, and replace it later, until `stop` is set."""
        gone: dict[int, float] = {}
        with self._accounts() as accounts:
            while not stop.wait(chance.uniform(0.3, 1.7)):
                for place, at in list(gone.items()):
                    # A database that is away is asked again at the next turn.
                    with contextlib.suppress(ElasticImagesError):
                        if time.monotonic() > at + _GONE_SECONDS:
                            self._renew(accounts, place)
                            del gone[place]
                left = [place for place in range(len(PLACES)) if place not in gone]
                if not left:
                    continue
                place = chance.choice(left)
                self.credentials.revoking(place)
                with contextlib.suppress(ElasticImagesError):
                    self._end(accounts, place)
                    self.credentials.revoked(place)
                    gone[place] = time.monotonic()
                    totals.add("revocations")

    def _renew(self, accounts: Accounts, place: int) -> None:
        kind, viewer = PLACES[place]
        name = OWNER if viewer == "owner" else MEMBER
        user_id = accounts.users.get(name).id
        if kind == "token":
            token, secret = accounts.tokens.create(name, "the checker's readers", ["read"])
            made = Credential(secret, token.id, user_id)
        elif kind == "session":
            new = accounts.sessions.start(user_id)
            made = Credential(new.secret, new.session.id, user_id)
        else:
            key, secret = accounts.signing_keys.create(name, "the checker's links")
            made = Credential(f"{key.kid} {secret}", key.kid, user_id)
        self._made[place] = made
        self.credentials.replace(place, made.secret)

    def _end(self, accounts: Accounts, place: int) -> None:
        made = self._made[place]
        if isinstance(made.id, str):
            accounts.signing_keys.revoke(made.id)
        elif PLACES[place][0] == "token":
            accounts.tokens.revoke(made.id)
        else:
            accounts.sessions.revoke(made.id, made.user_id)

    @contextlib.contextmanager
    def _accounts(self) -> Iterator[Accounts]:
        accounts = open_accounts(self._settings)
        try:
            yield accounts
        finally:
            accounts.close()
