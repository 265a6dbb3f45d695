"""Who may do what: the rules that routes declare, and what each mode of `ANONYMOUS` opens. Pure.

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
    """What anybody may do without credentials. Reading an image by its address is apart: see `images_are_open`."""
    return _ANONYMOUS_SCOPES[mode]


def images_are_open(mode: Anonymous) -> bool:
    """Whether `GET|HEAD /images/<key>` needs no credentials."""
    return mode != "none"


def effective(mode: Anonymous, principal: Principal) -> Principal:
    """The principal with what the mode gives to everybody: nobody loses a right by saying who he is."""
    return principal.with_scopes(scopes_for_everybody(mode))


def authorise(mode: Anonymous, rule: Rule, method: str, principal: Principal) -> None:
    """Let the request pass, or say why not. `principal` is an `effective` one.

    Rules: `public` and `login` let everybody pass; `image` is reading an image by its address; `read`, `write` and
    `admin` need that scope; `account` is for a person about himself and needs his session, not a token of his.

    Raises:
        Unauthenticated: credentials would help.
        Forbidden: the caller is known, and may not.
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
        needed = f"the right {scope!r}"
    if allowed:
        return
    if principal.is_anonymous:
        raise Unauthenticated("Log in, or send an API token as 'Authorization: Bearer ...'.")
    raise Forbidden(f"This needs {needed}.")


def safe_next(target: str | None, default: str = "/") -> str:
    r"""Where to go after the login: `target` where it is a path on this host, else `default`.

    Browsers take `//host`, `/\host` and such with tabs or line ends between for addresses of other hosts.
    """
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return default
    if any(ord(character) < 0x21 or ord(character) == 0x7F for character in target):
        return default
    return target
