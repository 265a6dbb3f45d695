from __future__ import annotations

import pytest

from elastic_images.front.sending import Part, parts_of, unsent
from elastic_images.http.answer import Answer

DATE = b"Date: Mon, 23 Nov 2026 00:00:00 GMT\r\n"


@pytest.mark.parametrize("sent", range(8))
def test_the_rest_is_what_was_not_sent(sent: int) -> None:
    parts: list[Part] = [b"abc", memoryview(b"de"), b"fg"]
    assert b"".join(unsent(parts, sent)) == b"abcdefg"[sent:]


def test_an_answer_as_bytes() -> None:
    answer = Answer("200 OK", [("Content-Length", "2"), ("X-Cache", "HIT")], b"hi")
    head = b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\nX-Cache: HIT\r\n"
    assert parts_of(answer, DATE, b"", without_body=False) == [head + b"\r\n", b"hi"]
    assert parts_of(answer, DATE, b"", without_body=True) == [head + b"\r\n"]
    assert parts_of(answer, DATE, b"Connection: close\r\n", without_body=True) == [head + b"Connection: close\r\n\r\n"]
