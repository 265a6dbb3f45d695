"""The memory of who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from elastic_images.accounts.principal import ANONYMOUS, Principal
from elastic_images.core.errors import Unauthenticated, Unavailable
from elastic_images.web.reads.viewers import ImageRead, Viewers

ANN = Principal(1, "ann", frozenset({"read", "write"}), "token")


class Accounts:
    """Knows the tokens `ann` and those that begin with it; counts and delays."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.batches: list[int] = []
        self.takes_seconds = 0.0
        self.down = False
        self.viewers = Viewers("read", self.identify, self.identify_all, clock=lambda: self.now)
        self.on_ask: Callable[[], None] = lambda: None

    def identify(self, environ: Mapping[str, str]) -> Principal:
        self.asked += 1
        self.now += self.takes_seconds
        self.on_ask()
        if self.down:
            raise Unavailable("The database is not responding.")
        sent = environ.get("HTTP_AUTHORIZATION", "")
        if sent and not sent.startswith("ann"):
            raise Unauthenticated("Invalid, expired or revoked token.")
        return ANN if sent else ANONYMOUS

    def identify_all(self, environs: Sequence[Mapping[str, str]]) -> list[Principal | None]:
        self.batches.append(len(environs))
        self.on_ask()
        return [ANN if environ.get("HTTP_AUTHORIZATION", "")[:3] == "ann" else None for environ in environs]


def of(token: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": token}


def test_a_request_without_credentials_is_a_strangers() -> None:
    accounts = Accounts()
    assert accounts.viewers.known({}) == accounts.viewers.find({}) == accounts.viewers.stranger
    assert accounts.asked == 0


def test_two_seconds_are_counted_from_before_the_database_was_asked() -> None:
    accounts = Accounts()
    accounts.takes_seconds = 1.5
    assert accounts.viewers.known(of("ann")) is None
    assert accounts.viewers.find(of("ann")).actor == ANN.actor()
    accounts.now = 1.9
    assert accounts.viewers.known(of("ann")) is not None
    accounts.now = 2.0
    assert accounts.viewers.known(of("ann")) is None


def test_a_look_up_that_was_overtaken_by_a_revocation_is_not_remembered() -> None:
    accounts = Accounts()
    accounts.on_ask = accounts.viewers.forget
    accounts.viewers.find(of("ann"))
    assert accounts.viewers.known(of("ann")) is None


def test_made_up_credentials_push_nobody_out_and_are_asked_for_each_time() -> None:
    accounts = Accounts()
    accounts.viewers.find(of("ann"))
    for number in range(5000):
        with pytest.raises(Unauthenticated):
            accounts.viewers.find(of(str(number)))
        accounts.viewers.find({"HTTP_COOKIE": str(number)})
    assert accounts.viewers.known(of("ann")) is not None
    assert accounts.asked == 10_001


def test_those_looked_up_longest_ago_are_forgotten_first() -> None:
    accounts = Accounts()
    for number in range(4096 + 10):
        accounts.viewers.find(of(f"ann{number}"))
    assert [accounts.viewers.known(of(f"ann{number}")) is None for number in (0, 9, 10, 4105)] == [
        True,
        True,
        False,
        False,
    ]
    accounts.viewers.find(of("ann" + "x" * 3000))
    assert accounts.viewers.known(of("ann" + "x" * 3000)) is None, "long ones are not kept"


def test_a_read_without_the_database_is_refused_unless_everybody_may_have_it() -> None:
    accounts = Accounts()
    accounts.down = True
    ImageRead(accounts.viewers, of("ann")).check("public", None)
    with pytest.raises(Unavailable):
        ImageRead(accounts.viewers, of("ann")).check("members", None)


def test_those_who_go_on_asking_are_looked_up_again_all_at_once() -> None:
    accounts = Accounts()
    viewers = accounts.viewers
    for number in range(600):
        viewers.find(of(f"ann{number}"))
    viewers.find({"HTTP_COOKIE": "a", "HTTP_AUTHORIZATION": "ann"})
    accounts.now = 1.5
    for number in range(500):
        assert viewers.known(of(f"ann{number}")) is not None
    viewers.refresh()
    viewers.refresh()
    assert (accounts.batches, accounts.asked) == ([500], 601)
    accounts.now = 3.4
    assert viewers.known(of("ann499")) is not None
    assert viewers.known(of("ann500")) is None
    accounts.now = 3.5
    assert viewers.known(of("ann499")) is None, "two seconds, from before it was looked up again"


def test_who_is_not_valid_any_more_is_forgotten_when_looked_up_again() -> None:
    accounts = Accounts()
    accounts.viewers._identify_all = lambda environs: [None for _ in environs]
    accounts.viewers.find(of("ann"))
    accounts.now = 1.5
    assert accounts.viewers.known(of("ann")) is not None
    accounts.viewers.refresh()
    assert accounts.viewers.known(of("ann")) is None


def test_a_refresh_that_was_overtaken_by_a_revocation_is_not_remembered() -> None:
    accounts = Accounts()
    accounts.viewers.find(of("ann"))
    accounts.now = 1.5
    accounts.viewers.known(of("ann"))
    accounts.on_ask = accounts.viewers.forget
    accounts.viewers.refresh()
    assert accounts.viewers.known(of("ann")) is None
