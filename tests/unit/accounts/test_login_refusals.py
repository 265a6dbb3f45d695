"""Logins that are refused again without asking Flask or the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from elastic_images.accounts.login_refusals import LoginRefusals
from elastic_images.accounts.refused_logins import RefusedLogins

FORM = {"HTTP_CONTENT_TYPE": "application/x-www-form-urlencoded", "REMOTE_ADDR": "192.0.2.1"}
LOGIN = b"name=%3Cann%3E&password=wrong&next=%2Fa%22b"


class Refusals(LoginRefusals):
    """All logins of <ann> are refused for 5 s."""

    def __init__(self) -> None:
        super().__init__(lambda _environ, name: 5 if name in ("<ann>", "") else None, self.prefix)

    @staticmethod
    def prefix(environ: Mapping[str, Any]) -> str | None:
        found: str | None = environ.get("prefix", "")
        return found

    def flask_answers(self, name: str = "<bob>", prefix: str = "") -> bytes:
        made = self.make(lambda name, target: f"name={name} next={target} prefix={prefix}", name, "/", prefix)
        made.status_code = 429
        made.headers["Content-Security-Policy"] = "default-src 'self'"
        made.headers["X-Request-Id"], made.headers["Retry-After"] = "one", "99"
        body = made.get_data()
        made.close()
        return body


def test_the_page_is_the_one_that_flask_would_make_for_this_login() -> None:
    refusals = Refusals()
    assert refusals.answer(FORM, LOGIN) is None, "Flask has made none yet"
    assert refusals.flask_answers() == b"name=&lt;bob&gt; next=/ prefix="
    answer = refusals.answer(FORM, LOGIN)
    assert answer is not None
    assert answer.body == b"name=&lt;ann&gt; next=/a&#34;b prefix="
    assert answer.status.startswith("429")
    headers = dict(answer.headers)
    assert (headers["Retry-After"], headers["Content-Length"]) == ("5", str(len(answer.body)))
    assert headers["Content-Security-Policy"] == "default-src 'self'"
    assert "X-Request-Id" not in headers


def test_pages_differ_by_the_path_below_a_proxy_and_without_a_name() -> None:
    refusals = Refusals()
    refusals.flask_answers()
    assert refusals.answer({**FORM, "prefix": "/photos"}, LOGIN) is None
    assert refusals.answer(FORM, b"name=") is None
    refusals.flask_answers(prefix="/photos")
    refusals.flask_answers(name="")
    below, nameless = refusals.answer({**FORM, "prefix": "/photos"}, LOGIN), refusals.answer(FORM, b"name=")
    assert below is not None
    assert below.body.endswith(b"prefix=/photos")
    assert nameless is not None
    assert nameless.body == b"name= next=/ prefix="


@pytest.mark.parametrize(
    ("environ", "form"),
    [
        (FORM, b"name=carl&password=right"),
        (FORM, b"name=carl&name=%3Cann%3E"),
        ({**FORM, "HTTP_CONTENT_TYPE": "multipart/form-data; boundary=x"}, LOGIN),
        ({**FORM, "prefix": None}, LOGIN),
        (FORM, LOGIN + b"x" * 5000),
        (FORM, b"&".join([LOGIN] * 20)),
        (FORM, b"name=\xff"),
    ],
    ids=["let in", "the first name counts", "another form", "not our host", "long", "many fields", "no text"],
)
def test_what_only_flask_can_judge_is_left_to_it(environ: dict[str, Any], form: bytes) -> None:
    refusals = Refusals()
    refusals.flask_answers()
    assert refusals.answer(environ, form) is None


def test_a_refusal_is_remembered_for_two_seconds_at_most() -> None:
    now = [100.0]
    refused = RefusedLogins(lambda: now[0])
    refused.note("address", 60.0)
    refused.note("pair", 0.5)
    assert refused.retry_after(["pair", "address"]) == 60
    assert refused.retry_after(["pair"]) == 1
    now[0] += 0.6
    assert refused.retry_after(["pair"]) is None
    assert refused.retry_after(["pair", "address"]) == 60
    now[0] += 1.5
    assert refused.retry_after(["address"]) is None


def test_who_was_let_in_is_not_refused() -> None:
    refused = RefusedLogins(lambda: 0.0)
    for subject in ("pair", "address"):
        refused.note(subject, 60.0)
    refused.forget(["pair", "other"])
    assert refused.retry_after(["pair"]) is None
    assert refused.retry_after(["address"]) == 60


def test_what_is_remembered_is_bounded() -> None:
    refused = RefusedLogins(lambda: 0.0)
    for number in range(10_000):
        refused.note(str(number), 60.0)
    assert len(refused._until) <= 4096
