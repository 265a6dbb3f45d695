"""Whose requests the backend works on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import Unavailable
from elastic_images.front.backend_places import BackendPlaces, Place


class Backend:
    """Requests of clients, by number, and which of them it works on."""

    def __init__(self, for_all: int = 4, of_a_client: int = 2, waiting_of_a_client: int = 10) -> None:
        self.places = BackendPlaces(for_all, of_a_client, waiting_of_a_client)
        self.asked: list[Place] = []
        self.working: list[int] = []

    def ask(self, client: str | None) -> bool:
        number = len(self.asked)
        place = self.places.ask(client, lambda: self.working.append(number))
        self.asked.append(place)
        if not place.waits:
            self.working.append(number)
        return not place.waits

    def end(self, number: int) -> None:
        if number in self.working:
            self.working.remove(number)
        self.asked[number].leave()

    def working_for(self, client: str | None) -> int:
        return sum(self.asked[number].client == client for number in self.working)


def test_a_client_may_have_all_while_few_are_taken_and_then_its_own() -> None:
    backend = Backend()
    assert [backend.ask("greedy") for _ in range(6)] == [True] * 4 + [False] * 2
    assert [backend.ask("other") for _ in range(3)] == [True, True, False]
    assert all(backend.ask(None) for _ in range(5)), "who is exempt never waits"


def test_who_waits_begins_in_turn_when_there_is_room() -> None:
    backend = Backend()
    for client in ("a", "a", "a", "a", "a", "a", "b", "b", "b"):
        backend.ask(client)
    assert backend.working == [0, 1, 2, 3, 6, 7]
    backend.end(0)
    backend.end(1)
    assert backend.working == [2, 3, 6, 7], "there are as many as all may have, and each has its own"
    backend.end(6)
    assert backend.working == [2, 3, 7, 8], "b has less than its own"
    backend.end(2)
    backend.end(3)
    assert backend.working == [7, 8, 4, 5]


def test_who_no_longer_waits_keeps_nobody_waiting() -> None:
    backend = Backend()
    for _ in range(7):
        backend.ask("a")
    backend.end(4)
    backend.end(0)
    assert backend.working == [1, 2, 3, 5]


def test_the_line_of_a_client_is_bounded() -> None:
    backend = Backend(waiting_of_a_client=3)
    for _ in range(7):
        backend.ask("a")
    with pytest.raises(Unavailable):
        backend.ask("a")
    assert backend.places.refused == 1
    assert backend.ask("b")
    backend.end(6)
    assert not backend.ask("a")


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 5)), max_size=60))
def test_everybody_has_a_turn_and_nobody_more_than_allowed(steps: list[tuple[str | None, int]]) -> None:
    backend = Backend(waiting_of_a_client=100)
    for client, ends in steps:
        backend.ask(client)
        if backend.working and ends:
            backend.end(backend.working[ends % len(backend.working)])
        for one in ("a", "b", "c"):
            waits = any(place.waits and place.client == one for place in backend.asked)
            mine, everybodys = backend.working_for(one), len(backend.working)
            assert mine <= 4
            assert not waits or (mine >= 2 and everybodys >= 4), "nobody waits for nothing"
    while backend.working:
        backend.end(backend.working[0])
    assert not any(place.waits for place in backend.asked)
