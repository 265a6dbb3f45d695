from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pytest

from elastic_images.http.bulkhead import Bulkhead
from elastic_images.http.drain import DrainBodies

LIMIT = 200_000


class Answer(list[bytes]):
    """An application's answer that notes whether it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def run(body: io.BytesIO, places: Bulkhead, **environ: str) -> tuple[Answer, list[bytes]]:
    answer = Answer([b"no", b"!"])

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("401 Unauthorized", [])
        return answer

    given = DrainBodies(app, places, LIMIT)({"wsgi.input": body, **environ}, lambda *_: lambda _: None)
    sent = list(given)
    close = getattr(given, "close", None)
    assert close is not None
    close()
    return answer, sent


@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "150000"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_the_rest_of_a_body_is_read_after_the_answer(environ: dict[str, str]) -> None:
    body, places = io.BytesIO(bytes(150_000)), Bulkhead(1, "drains")
    answer, sent = run(body, places, **environ)
    assert sent == [b"no", b"!"]
    assert body.read() == b""
    assert answer.closed == 1
    assert places.try_acquire()


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}, {"CONTENT_LENGTH": "x"}])
def test_there_is_nothing_to_read_without_a_body(environ: dict[str, str]) -> None:
    body = io.BytesIO(b"not to be read")
    run(body, Bulkhead(1, "drains"), **environ)
    assert body.read() == b"not to be read"


def test_a_body_without_bounds_is_left_alone() -> None:
    body = io.BytesIO(bytes(LIMIT + 1))
    run(body, Bulkhead(1, "drains"), CONTENT_LENGTH=str(LIMIT + 1))
    assert body.tell() == 0
    body = io.BytesIO(bytes(3 * LIMIT))
    run(body, Bulkhead(1, "drains"), HTTP_TRANSFER_ENCODING="chunked")
    assert body.tell() == LIMIT


def test_nothing_is_read_if_all_places_are_taken() -> None:
    places = Bulkhead(1, "drains")
    places.acquire()
    body = io.BytesIO(bytes(100))
    answer, sent = run(body, places, CONTENT_LENGTH="100")
    assert (sent, body.tell(), answer.closed) == ([b"no", b"!"], 0, 1)


def test_a_client_that_is_gone_causes_no_error() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    places = Bulkhead(1, "drains")
    answer, _ = run(Broken(), places, CONTENT_LENGTH="100")
    assert answer.closed == 1
    assert places.try_acquire()
