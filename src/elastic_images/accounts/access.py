"""Access rules: what routes require, and what each `ANONYMOUS` mode opens to everyone. Pure.

The table is in this room's README.
"""

from __future__ import annotations

from typing import Literal, get_args

from elastic_images.accounts.principal import NO_SCOPES, Principal, widen
from elastic_images.core.errors import Forbidden, Unauthenticated

Anonymous = Literal["none", "read", "write", "admin"]
Rule = Literal["public", "login", "image", "read", "write", "admin", "account"]

RULES: tuple[str, ...] = get_args(Rule)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ANONYMOUS_SCOPES = {"none": NO_SCOPES, "read": NO_SCOPES, "write": widen(["write"]), "admin": widen(["admin"])}


def scopes_for_everybody(mode: Anonymous) -> frozenset[str]:
    """What anyone may do without credentials, except reading an image by its URL: see `images_are_open`."""
    return _ANONYMOUS_SCOPES[mode]


def images_are_open(mode: Anonymous) -> bool:
    """Whether `GET|HEAD /images/<key>` needs no credentials."""
    return mode != "none"


def effective(mode: Anonymous, principal: Principal) -> Principal:
    """The principal with the scopes that the mode gives everyone, so that logging in never removes a right."""
    return principal.with_scopes(scopes_for_everybody(mode))


def authorise(mode: Anonymous, rule: Rule, method: str, principal: Principal) -> None:
    """Return if the request is allowed, else raise. `principal` must come from `effective`.

    Rules: `public` and `login` allow everyone; `image` is reading an image by its URL; `read`, `write` and `admin`
    need that scope; `account` covers a user's own account and needs a session: a token is not enough.

    Raises:
        Unauthenticated: the caller sent no credentials.
        Forbidden: the caller lacks the right.
    """
    if rule in ("public", "login"):
        return
    if rule == "image" and method in ("GET", "HEAD") and images_are_open(mode):
        return
    if rule == "account":
        allowed = principal.via == "session"
        needed = "a session: log in"
    else:
        scope = "read" if rule == "image" else rule
        allowed = scope in principal.scopes
        needed = f"the scope {scope!r}"
    if allowed:
        return
    if principal.is_anonymous:
        raise Unauthenticated("Log in, or send an API token as 'Authorization: Bearer ...'.")
    raise Forbidden(f"This requires {needed}.")


def safe_next(target: str | None, default: str = "/") -> str:
    r"""Where to go after login: `target` if it is a path on this host, else `default`.

    Browsers treat `//host` and `/\host`, even with tabs or newlines in between, as URLs of other hosts.
    """
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return default
    if any(ord(character) < 0x21 or ord(character) == 0x7F for character in target):
        return default
    return target
