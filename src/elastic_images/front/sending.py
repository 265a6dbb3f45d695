"""Answers as bytes, and sending them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elastic_images.core.entry import head_lines
from elastic_images.http.answer import Answer

Part = bytes | memoryview


def parts_of(answer: Answer, date: bytes, connection: bytes, *, without_body: bool) -> list[Part]:
    """The bytes of an answer. `date` and `connection` are the lines of those headers; `without_body` is for HEAD."""
    lines = head_lines(answer.headers)
    head = b"HTTP/1.1 %b\r\n%b%b%b\r\n" % (
        answer.status.encode("latin-1"),
        date,
        lines,
        connection,
    )
    return [head] if without_body or not answer.body else [head, answer.body]


def unsent(parts: Sequence[Part], sent_bytes: int) -> list[memoryview]:
    """What is left of `parts` after `sent_bytes` were sent."""
    left: list[memoryview] = []
    for part in parts:
        if sent_bytes >= len(part):
            sent_bytes -= len(part)
        else:
            left.append(memoryview(part)[sent_bytes:])
            sent_bytes = 0
    return left


def send(connection: Any, parts: Sequence[Part]) -> list[memoryview]:
    """Send as much as the kernel takes, and return the rest. Raises OSError if the connection is gone."""
    while parts:
        try:
            sent = connection.sendmsg(parts)
        except BlockingIOError:
            return unsent(parts, 0)
        parts = unsent(parts, sent)
    return []
