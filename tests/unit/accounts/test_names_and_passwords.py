from __future__ import annotations

from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from elastic_images.accounts.names import check_name, fold_name
from elastic_images.accounts.passwords import Passwords, default_hasher, new_password
from elastic_images.core.errors import InvalidRequest

FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.parametrize("name", ["a", "ann", "Ann.B-c_d@example.org", "José", "李雷", "7up", "x" * 64])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 65,
        " ann",
        "an n",
        "ann\n",
        ".ann",
        "-rf",
        "a/b",
        "a:b",
        "Jose\u0301",
        "<b>",
        "anonymous",
        "Anonymous",
        "\ud800",
    ],
)
def test_no_names(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name)


def test_names_that_look_alike_are_the_same() -> None:
    assert fold_name("ADMIN") == fold_name("admin") == fold_name("ａｄｍｉｎ")
    assert fold_name("STRASSE") == fold_name("straße")
    assert fold_name("ann") != fold_name("anna")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, "é" * 513, "\ud800 lone surrogate"])
def test_bad_passwords(password: str) -> None:
    with pytest.raises(InvalidRequest):
        Passwords(FAST).hash(password)


def test_a_password_verifies_against_its_hash_alone() -> None:
    passwords = Passwords(FAST)
    kept = passwords.hash("correct horse")
    assert "correct" not in kept
    assert passwords.verify(kept, "correct horse")
    for wrong in ("Correct horse", "", "x" * 5000, "\ud800"):
        assert not passwords.verify(kept, wrong)


def test_an_accent_is_the_same_from_every_keyboard() -> None:
    passwords = Passwords(FAST)
    assert passwords.verify(passwords.hash("cafe\u0301 au lait"), "café au lait")


def test_nobody_has_no_password() -> None:
    assert not Passwords(FAST).verify(None, "")
    assert not Passwords(FAST).verify(None, "correct horse")


def test_a_damaged_hash_is_nobodys() -> None:
    assert not Passwords(FAST).verify("not a hash", "correct horse")


class Counting(PasswordHasher):
    """Notes with which costs it computes."""

    seen: list[str]

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        self.seen.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return super().verify(hash, password)


def test_an_unknown_user_costs_the_same_computation() -> None:
    hasher = Counting(time_cost=2, memory_cost=64, parallelism=1)
    hasher.seen = []
    passwords = Passwords(hasher)
    kept = passwords.hash("correct horse")
    passwords.verify(kept, "wrong")
    passwords.verify(None, "wrong")
    assert hasher.seen == ["$argon2id$v=19$m=64,t=2,p=1"] * 2


def test_the_hash_of_nobody_is_really_computed() -> None:
    # A hash that cannot be parsed would be refused at once, and tell by its haste who exists.
    passwords = Passwords(FAST)
    with pytest.raises(VerifyMismatchError):
        FAST.verify(passwords._nobody, "anything")


def test_old_parameters_are_noticed() -> None:
    kept = Passwords(FAST).hash("correct horse")
    assert not Passwords(FAST).needs_rehash(kept)
    assert Passwords(default_hasher()).needs_rehash(kept)


def test_new_passwords_are_long_and_different() -> None:
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(password) >= 16 for password in made)
