"""The caller of a request: a user with a session or token, or an anonymous visitor. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from elastic_images.core.image_facts import Actor

Via = Literal["session", "token", "link", "anonymous"]
Role = Literal["admin", "user"]

SCOPES = ("read", "write", "admin")
ROLES: tuple[Role, ...] = ("admin", "user")
NO_SCOPES: frozenset[str] = frozenset()
_INCLUDES = {"read": ("read",), "write": ("read", "write"), "admin": SCOPES}
_SCOPES_OF_ROLE = {"admin": frozenset(SCOPES), "user": frozenset({"read", "write"})}


def widen(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes with those they include: write includes read, admin includes both. Unknown scopes are dropped."""
    return frozenset(included for scope in scopes for included in _INCLUDES.get(scope, ()))


def scopes_of_role(role: str) -> frozenset[str]:
    """All scopes a user with this role can have."""
    return _SCOPES_OF_ROLE.get(role, NO_SCOPES)


class Credential(NamedTuple):
    """What a request proves who sends it by."""

    via: Via
    digest: str
    """Of the secret of a session or token."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller and what they may do.

    `scopes` is the final result of the token's scopes, the role, and what the `ANONYMOUS` mode gives everyone. It is
    closed under `widen`.
    """

    user_id: int | None
    name: str
    scopes: frozenset[str]
    via: Via

    @property
    def is_admin(self) -> bool:
        """May do anything. A token without the admin scope never is an administrator, even if its owner is."""
        return "admin" in self.scopes

    @property
    def is_anonymous(self) -> bool:
        """The request had no credentials, or only expired ones."""
        return self.via == "anonymous"

    def with_scopes(self, scopes: Iterable[str]) -> Principal:
        """A copy with these scopes added."""
        return replace(self, scopes=self.scopes | widen(scopes))

    def actor(self) -> Actor:
        """The caller as storage sees them (`X-Actor`)."""
        return Actor(self.user_id, self.name, self.is_admin)


ANONYMOUS = Principal(user_id=None, name="anonymous", scopes=NO_SCOPES, via="anonymous")
"""A visitor without credentials."""
