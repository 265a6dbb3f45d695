"""Who asks: a user by session or token, or nobody in particular. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from elastic_images.core.image_facts import Actor

Via = Literal["session", "token", "anonymous"]
Role = Literal["admin", "user"]

SCOPES = ("read", "write", "admin")
ROLES: tuple[Role, ...] = ("admin", "user")
NO_SCOPES: frozenset[str] = frozenset()
_INCLUDES = {"read": ("read",), "write": ("read", "write"), "admin": SCOPES}
_SCOPES_OF_ROLE = {"admin": frozenset(SCOPES), "user": frozenset({"read", "write"})}


def widen(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes with those they include: write includes read, admin includes both. Unknown words give nothing."""
    return frozenset(included for scope in scopes for included in _INCLUDES.get(scope, ()))


def scopes_of_role(role: str) -> frozenset[str]:
    """All scopes that a user of this role can have."""
    return _SCOPES_OF_ROLE.get(role, NO_SCOPES)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what he may do.

    `scopes` is what is left after everything was taken into account: the token's scopes, the role, and what the mode
    of `ANONYMOUS` gives to everybody. It is closed under `widen`.
    """

    user_id: int | None
    name: str
    scopes: frozenset[str]
    via: Via

    @property
    def is_admin(self) -> bool:
        """May do anything. A token without the admin scope is no administrator, whoever owns it."""
        return "admin" in self.scopes

    @property
    def is_anonymous(self) -> bool:
        """No credentials came with the request, or only such as have ended."""
        return self.via == "anonymous"

    def with_scopes(self, scopes: Iterable[str]) -> Principal:
        """The same principal, with these scopes added."""
        return replace(self, scopes=self.scopes | widen(scopes))

    def actor(self) -> Actor:
        """The caller as storage sees them (`X-Actor`)."""
        return Actor(self.user_id, self.name, self.is_admin)


ANONYMOUS = Principal(user_id=None, name="anonymous", scopes=NO_SCOPES, via="anonymous")
"""Nobody in particular, with no rights of his own."""
