"""Log lines: their shape, and what they never hold."""

from __future__ import annotations

import logging
import re
import sys

import flask
import pytest

from elastic_images.process.logs import PlainFormatter, redact


def line(message: str, *args: object, secrets: tuple[str, ...] = (), error: bool = False) -> str:
    info = sys.exc_info() if error else None
    record = logging.LogRecord("x", logging.INFO, __file__, 1, message, args, info)
    return PlainFormatter("web", secrets).format(record)


def test_a_line_has_time_level_app_pid_and_message() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO web\[\d+\] - took 3 s", line("took %d s", 3))


def test_a_line_names_the_request() -> None:
    app = flask.Flask("x")
    with app.test_request_context("/"):
        flask.g.request_id = "abc123"
        assert " abc123 hello" in line("hello")


@pytest.mark.parametrize(
    "text",
    [
        "token ei_HIDDEN0123456789abcdef used",
        "Authorization: Bearer HIDDEN-abc",
        "{'Authorization': 'Bearer HIDDEN'}",
        "headers authorization=Basic HIDDEN",
        "mysql://user:HIDDEN@host/db",
        "got the word HIDDEN here",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    secrets = ("HIDDEN",) if "the word" in text else ()
    assert "HIDDEN" not in redact(text, secrets)
    assert "HIDDEN" not in line("%s", text, secrets=secrets)
    assert "***" in redact(text, secrets)


def test_secrets_are_hidden_in_a_traceback() -> None:
    try:
        int("ei_HIDDEN0123456789")
    except ValueError:
        shown = line("failed", error=True)
    assert "Traceback" in shown
    assert "HIDDEN" not in shown


def test_plain_text_stays_as_it_is() -> None:
    text = "GET /images/weird_name took 12 ms (http://127.0.0.1:5000)"
    assert redact(text) == text
