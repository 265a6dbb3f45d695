"""Which storage app is asked first, and which after one that did not answer."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from elastic_images.core.errors import IncompleteBody, NotFound, Unavailable
from elastic_images.core.image_facts import Actor
from elastic_images.http.internal_client import InternalClient, NoAnswer
from elastic_images.http.lean_client import NotConnected
from elastic_images.storage.client import StorageClient

ONE, TWO = "http://one", "http://two"
ACTOR = Actor(1, "ann")


class Storages:
    """Stands for `InternalClient`; some of the addresses do not answer."""

    def __init__(self, *urls: str) -> None:
        self.down: set[str] = set()
        self.refusing: set[str] = set()
        self.asked: list[str] = []
        self.now = 0.0
        self.client = StorageClient(cast(InternalClient, self), urls, clock=lambda: self.now)

    def get_json(self, url: str, *, timeout_seconds: float) -> Any:  # noqa: ARG002 - as InternalClient has it
        place = url.partition("/internal")[0]
        self.asked.append(place)
        if place in self.down:
            raise Unavailable("down")
        if url.endswith("/missing"):
            raise NotFound("There is no image with this key.")
        return {"images": 0, "bytes": 0}

    def request(self, _method: str, url: str, *, body: Any = None, headers: Any, timeout_seconds: float) -> Any:  # noqa: ARG002
        place = url.partition("/internal")[0]
        self.asked.append(place)
        if place in self.down:
            if body is not None:
                next(iter(body))  # it fails when something was sent
            raise NoAnswer("gone")
        raise NotFound("It was asked.")

    def put(self, url: str, _body: bytes, *, headers: Any) -> Any:  # noqa: ARG002 - as InternalClient has it
        place = url.partition("/internal")[0]
        self.asked.append(place)
        if place in self.refusing:
            raise NotConnected("nobody listens")
        if place in self.down:
            raise NoAnswer("gone")
        raise NotFound("It was asked.")

    def use(self, times: int = 1) -> list[str]:
        """Who is asked, one after another."""
        self.asked.clear()
        for _ in range(times):
            self.client.usage()
        return self.asked


def test_the_first_is_asked_first_and_one_that_failed_is_asked_last_for_a_while() -> None:
    storages = Storages(ONE, TWO)
    assert storages.use(2) == [ONE, ONE]
    storages.down.add(ONE)
    assert storages.use(3) == [ONE, TWO, TWO, TWO]
    storages.now = 3.0
    assert storages.use(3) == [ONE, TWO, TWO, TWO], "one finds out that it is still away"
    storages.down.clear()
    storages.now = 6.0
    assert storages.use(3) == [ONE, ONE, ONE]


def test_where_nobody_answers_everybody_is_asked_each_time() -> None:
    storages = Storages(ONE, TWO)
    storages.down |= {ONE, TWO}
    for _ in range(2):
        with pytest.raises(Unavailable):
            storages.use()
        assert sorted(storages.asked) == [ONE, TWO]
    storages.down.discard(TWO)
    assert storages.use()[-1] == TWO


def test_an_answer_that_is_an_error_is_an_answer() -> None:
    storages = Storages(ONE, TWO)
    storages.down.add(ONE)
    storages.use()
    storages.now, storages.down = 3.0, set()
    with pytest.raises(NotFound):
        storages.client.metadata("missing", actor=None)
    assert storages.use(2) == [ONE, ONE]


SIZES = [2, 300_000]
"""One that is sent at once and one that is passed on as it comes."""


@pytest.mark.parametrize("size_bytes", SIZES)
def test_after_a_write_that_was_lost_on_its_way_the_next_one_goes_elsewhere(size_bytes: int) -> None:
    storages = Storages(ONE, TWO)
    storages.down.add(ONE)
    with pytest.raises(Unavailable, match="send it again"):
        storages.client.put("k", io.BytesIO(b"1" * size_bytes), size_bytes, actor=ACTOR)
    with pytest.raises(NotFound):
        storages.client.put("k", io.BytesIO(b"1" * size_bytes), size_bytes, actor=ACTOR)
    assert storages.asked == [ONE, TWO, TWO], "the write, what became of it, the next one"


def test_a_small_write_goes_elsewhere_where_nobody_listens() -> None:
    storages = Storages(ONE, TWO)
    storages.refusing.add(ONE)
    with pytest.raises(NotFound):
        storages.client.put("k", io.BytesIO(b"12"), 2, actor=ACTOR)
    assert storages.asked == [ONE, TWO]


def test_a_write_whose_body_ends_early_is_not_sent() -> None:
    storages = Storages(ONE)
    with pytest.raises(IncompleteBody):
        storages.client.put("k", io.BytesIO(b"12"), 3, actor=ACTOR)
    assert storages.asked == []


def test_a_single_storage_app_is_asked_whatever_it_did() -> None:
    storages = Storages(ONE)
    storages.down.add(ONE)
    for _ in range(3):
        with pytest.raises(Unavailable):
            storages.use()
        assert storages.asked == [ONE]
