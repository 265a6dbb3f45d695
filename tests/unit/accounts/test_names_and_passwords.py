from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from testing.waiting import wait_for

from elastic_images.accounts.hash_places import HashPlaces
from elastic_images.accounts.names import check_name, fold_name
from elastic_images.accounts.passwords import Passwords, default_hasher, new_password
from elastic_images.core.errors import InvalidRequest, Unavailable

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


@pytest.mark.parametrize("password", ["", "qx-47-vbm", "x" * 1025, "é" * 513, "\ud800 lone surrogate"])
def test_bad_passwords(password: str) -> None:
    with pytest.raises(InvalidRequest, match=r"characters|bytes"):
        Passwords(FAST).check(password)


COMMON = ["password123", "1234567890", "qwertyuiop", "P@ssw0rd123", "iloveyou12", "abcdefghijkl", "x" * 1024]
OBVIOUS = ["elasticimages", "wilhelmina", "Wilhelmina1"]


@pytest.mark.parametrize("password", [*COMMON, *OBVIOUS])
def test_common_passwords(password: str) -> None:
    with pytest.raises(InvalidRequest, match="too easy to guess"):
        Passwords(FAST).check(password, "wilhelmina")


@pytest.mark.parametrize("password", ["correct horse", "größe und länge", "李雷和韩梅梅在学习英语", "T4:kq.z9wL"])
def test_good_passwords(password: str) -> None:
    Passwords(FAST).check(password, "wilhelmina")


def test_judging_a_password_takes_no_long_time() -> None:
    started = time.process_time()
    with pytest.raises(InvalidRequest):
        Passwords(FAST).check("x" * 1000 + "4@8({[</369&#!1/|0$5+7%2")
    Passwords(FAST).check("4@8({[</369&#!1/|0$5+7%2" * 40)
    assert time.process_time() - started < 5


def test_existing_passwords_are_hashed_whatever_they_are() -> None:
    # Outdated hashes are renewed at login, those of passwords from before these rules too.
    passwords = Passwords(FAST)
    assert passwords.verify(passwords.hash("short"), "short")
    with pytest.raises(InvalidRequest):
        passwords.hash("x" * 1025)


def test_nothing_loads_the_list_of_common_passwords_before_it_is_needed() -> None:
    code = "import sys, elastic_images.cli, elastic_images.web.service; print('zxcvbn_rs_py' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


class Blocking(PasswordHasher):
    """Verifies when it is told to."""

    begun: threading.Semaphore
    go: threading.Event

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        self.begun.release()
        self.go.wait()
        return super().verify(hash, password)


def blocking() -> Blocking:
    hasher = Blocking(time_cost=1, memory_cost=8, parallelism=1)
    hasher.begun, hasher.go = threading.Semaphore(0), threading.Event()
    return hasher


def stranger(passwords: Passwords, kept: str | None, password: str, source: str) -> bool:
    with passwords.places.admitted(source) as place:
        return passwords.verify(kept, password, place)


def test_a_flood_of_logins_leaves_places_for_other_addresses_and_known_people() -> None:
    hasher = blocking()
    passwords = Passwords(hasher, HashPlaces(2))
    kept = passwords.hash("correct horse")
    with ThreadPoolExecutor(16) as pool:
        flood = [pool.submit(stranger, passwords, None, "wrong", "flood") for _ in range(4)]
        hasher.begun.acquire()
        wait_for(lambda: passwords.places._turns["flood"][1] == 4)
        with pytest.raises(Unavailable):
            stranger(passwords, None, "wrong", "flood")
        other = pool.submit(stranger, passwords, kept, "correct horse", "other")
        hasher.begun.acquire()
        known = pool.submit(passwords.verify, kept, "correct horse")
        hasher.begun.acquire()
        assert not any(one.done() for one in flood)
        hasher.go.set()
        assert other.result()
        assert known.result()
        assert not any(one.result() for one in flood)
    assert passwords.places._turns == {}


def test_no_more_than_two_strangers_compute_at_a_time_and_those_who_wait_are_bounded() -> None:
    hasher = blocking()
    passwords = Passwords(hasher, HashPlaces(2))
    with ThreadPoolExecutor(64) as pool:
        flood = [pool.submit(stranger, passwords, None, "wrong", f"address {number}") for number in range(24)]
        hasher.begun.acquire()
        hasher.begun.acquire()
        wait_for(lambda: passwords.places._inside == 24)
        with pytest.raises(Unavailable):
            stranger(passwords, None, "wrong", "another")
        assert not hasher.begun.acquire(blocking=False)
        hasher.go.set()
        assert not any(one.result() for one in flood)


def test_an_address_without_failures_goes_first() -> None:
    places, order = HashPlaces(1), list[str]()
    for source, failures in (("worst", 3), ("bad", 1)):
        for _ in range(failures):
            places.failed(source)

    def log_in(source: str) -> None:
        with places.admitted(source):
            order.append(source)

    with ThreadPoolExecutor(8) as pool:
        with places.admitted("first"):
            for waiting, source in enumerate(["worst", "bad", "good"], 1):
                pool.submit(log_in, source)
                wait_for(lambda waiting=waiting: len(places._line._waiting) == waiting)  # type: ignore[misc]
        pool.shutdown()
    assert order == ["good", "bad", "worst"]


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
    Passwords(FAST).check(made.pop())
    assert all(len(password) >= 16 for password in made)
