"""Who has to leave when many connections are open."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from elastic_images.front.limits import Limits
from elastic_images.front.places import client_of, to_close

LIMITS = Limits(connections=80, connections_of_a_client=10)


@dataclass(frozen=True)
class Idle:
    client: str | None
    number: int


def closed(idle: list[Idle], busy: dict[str | None, int] | None = None) -> list[Idle]:
    counts = Counter(connection.client for connection in idle)
    counts.update(busy or {})
    return to_close(idle, counts, LIMITS)


def many(client: str | None, count: int) -> list[Idle]:
    return [Idle(client, number) for number in range(count)]


def test_while_less_than_half_is_taken_anybody_may_have_any_number() -> None:
    assert closed(many("a", 39)) == []


def test_then_a_client_keeps_the_latest_of_its_share() -> None:
    assert closed([*many("a", 30), *many("b", 10)]) == many("a", 30)[:20]


def test_connections_in_use_are_not_closed_but_count() -> None:
    assert closed(many("a", 20), {"a": 30}) == many("a", 20)
    assert closed(many("a", 5), {"a": 8, "b": 30}) == many("a", 5)[:3]


def test_exempt_clients_may_have_any_number() -> None:
    assert closed(many(None, 60)) == []


def test_when_nearly_all_is_taken_the_longest_idle_leave_and_the_exempt_last() -> None:
    crowd = [Idle(str(number), number) for number in range(50)]
    assert closed([*many(None, 5), *crowd], {"busy": 10, None: 10}) == crowd[:15]
    assert closed([*many(None, 30), *crowd[:5]], {None: 45}) == [*crowd[:5], *many(None, 15)]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_client_by_its_address(address: str, client: str) -> None:
    assert client_of(address) == client
