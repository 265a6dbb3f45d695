from __future__ import annotations

import itertools
from typing import get_args

import pytest

from elastic_images.accounts.access import Anonymous, Rule, authorise, effective, safe_next, scopes_for_everybody
from elastic_images.accounts.principal import ANONYMOUS, Principal, scopes_of_role, widen
from elastic_images.core.errors import Forbidden, Unauthenticated
from elastic_images.core.image_facts import Actor

MODES: tuple[Anonymous, ...] = get_args(Anonymous)
ALL_RULES: tuple[Rule, ...] = get_args(Rule)


def token(role: str, *scopes: str) -> Principal:
    return Principal(7, "ann", widen(scopes) & scopes_of_role(role), "token")


def session(role: str) -> Principal:
    return Principal(7, "ann", scopes_of_role(role), "session")


WHO = {
    "anonymous": ANONYMOUS,
    "read token": token("user", "read"),
    "write token": token("user", "write"),
    "user": session("user"),
    "admin": session("admin"),
    "admin token": token("admin", "admin"),
    "admin's write token": token("admin", "write"),
    "plain user's admin token": token("user", "admin"),
}
OPEN = {"public", "login"}
# What each may beyond OPEN in the strictest mode; every other mode only adds.
IN_NONE: dict[str, set[str]] = {
    "anonymous": set(),
    "read token": {"image", "read"},
    "write token": {"image", "read", "write"},
    "user": {"image", "read", "write", "account"},
    "admin": {"image", "read", "write", "admin", "account"},
    "admin token": {"image", "read", "write", "admin"},
    "admin's write token": {"image", "read", "write"},
    "plain user's admin token": {"image", "read", "write"},
}
FOR_ANYBODY: dict[str, set[str]] = {
    "none": set(),
    "read": {"image"},
    "write": {"image", "read", "write"},
    "admin": {"image", "read", "write", "admin"},
}


@pytest.mark.parametrize(("mode", "who", "rule"), list(itertools.product(MODES, WHO, ALL_RULES)))
def test_the_whole_table(mode: Anonymous, who: str, rule: Rule) -> None:
    allowed = rule in OPEN | IN_NONE[who] | FOR_ANYBODY[mode]
    principal = effective(mode, WHO[who])
    if allowed:
        authorise(mode, rule, "GET", principal)
        return
    with pytest.raises(Unauthenticated if who == "anonymous" else Forbidden):
        authorise(mode, rule, "GET", principal)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_mode_read_opens_get_and_head_of_an_image_only(method: str) -> None:
    authorise("read", "image", "HEAD", ANONYMOUS)
    with pytest.raises(Unauthenticated):
        authorise("read", "image", method, ANONYMOUS)


def test_only_mode_admin_makes_administrators_of_visitors() -> None:
    assert [mode for mode in MODES if effective(mode, ANONYMOUS).is_admin] == ["admin"]
    assert effective("write", ANONYMOUS).actor() == Actor(None, "anonymous", admin=False)
    assert effective("admin", ANONYMOUS).actor().admin is True


def test_nobody_loses_a_right_by_saying_who_he_is() -> None:
    for mode, principal in itertools.product(MODES, WHO.values()):
        assert effective(mode, principal).scopes >= scopes_for_everybody(mode) | principal.scopes


@pytest.mark.parametrize("target", ["/", "/images?prefix=a%20b&x=1", "/users/ann"])
def test_a_path_of_ours_is_a_safe_next(target: str) -> None:
    assert safe_next(target, "/home") == target


@pytest.mark.parametrize(
    "target",
    [None, "", "//evil.example", "/\\evil.example", "https://evil.example", "evil", "/\t/evil.example", "/a\r\nX: y"],
)
def test_other_places_are_not(target: str | None) -> None:
    assert safe_next(target, "/home") == "/home"
