"""Conditional requests and ranges, case by case (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import pytest

from elastic_images.core.entry import Entry
from elastic_images.http.serving import answer, is_conditional, whole

UPDATED = 1_000_000_000.4
AT, BEFORE, AFTER = (
    "Sun, 09 Sep 2001 01:46:40 GMT",
    "Sun, 09 Sep 2001 01:46:39 GMT",
    "Sun, 09 Sep 2001 01:46:41 GMT",
)
LATER = UPDATED + 1000
FAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
BODY = b"0123456789"
ENTRY = Entry(
    "k", BODY, content_type="image/png", etag='"abc"', version=1, updated_at=UPDATED, visibility="public", owner_id=None
)

Case = tuple[dict[str, str], int]

CONDITIONS: list[Case] = [
    ({}, 200),
    # If-None-Match: weak comparison, lists, any
    ({"If-None-Match": '"abc"'}, 304),
    ({"If-None-Match": 'W/"abc"'}, 304),
    ({"If-None-Match": '"x", "abc" , W/"y"'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"x"'}, 200),
    ({"If-None-Match": '"abcd"'}, 200),
    ({"If-None-Match": ""}, 200),
    # If-Modified-Since
    ({"If-Modified-Since": AT}, 304),
    ({"If-Modified-Since": AFTER}, 304),
    ({"If-Modified-Since": BEFORE}, 200),
    ({"If-Modified-Since": "yesterday"}, 200),
    ({"If-Modified-Since": FAR}, 200),
    # If-None-Match decides alone where both are there
    ({"If-None-Match": '"x"', "If-Modified-Since": AFTER}, 200),
    ({"If-None-Match": '"abc"', "If-Modified-Since": BEFORE}, 304),
    # If-Match: strong comparison
    ({"If-Match": '"abc"'}, 200),
    ({"If-Match": '"x", "abc"'}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": 'W/"abc"'}, 412),
    ({"If-Match": '"x"'}, 412),
    # If-Unmodified-Since, which If-Match makes meaningless
    ({"If-Unmodified-Since": AT}, 200),
    ({"If-Unmodified-Since": AFTER}, 200),
    ({"If-Unmodified-Since": BEFORE}, 412),
    ({"If-Unmodified-Since": "yesterday"}, 200),
    ({"If-Unmodified-Since": FAR}, 200),
    ({"If-Match": '"abc"', "If-Unmodified-Since": BEFORE}, 200),
    # The order of section 13.2.2
    ({"If-Match": '"x"', "If-None-Match": '"abc"'}, 412),
    ({"If-Match": '"abc"', "If-None-Match": '"abc"'}, 304),
    ({"If-None-Match": '"abc"', "Range": "bytes=0-1"}, 304),
    ({"If-Match": '"x"', "Range": "bytes=0-1"}, 412),
]

RANGES: list[tuple[dict[str, str], int, bytes, str | None]] = [
    ({"Range": "bytes=0-0"}, 206, b"0", "bytes 0-0/10"),
    ({"Range": "bytes=2-4"}, 206, b"234", "bytes 2-4/10"),
    ({"Range": "bytes=7-"}, 206, b"789", "bytes 7-9/10"),
    ({"Range": "bytes=-3"}, 206, b"789", "bytes 7-9/10"),
    ({"Range": "bytes=-30"}, 206, BODY, "bytes 0-9/10"),
    ({"Range": "bytes=5-500"}, 206, b"56789", "bytes 5-9/10"),
    ({"Range": "bytes=0-"}, 206, BODY, "bytes 0-9/10"),
    ({"Range": "bytes=10-"}, 416, b"", "bytes */10"),
    ({"Range": "bytes=100-200"}, 416, b"", "bytes */10"),
    # What is no single range of bytes is left aside, as section 14.2 allows
    ({"Range": "bytes=0-1,4-5"}, 200, BODY, None),
    ({"Range": "bytes=4-2"}, 200, BODY, None),
    ({"Range": "bytes=x-y"}, 200, BODY, None),
    ({"Range": "bytes="}, 200, BODY, None),
    ({"Range": "rows=0-1"}, 200, BODY, None),
    ({"Range": "0-1"}, 200, BODY, None),
    # If-Range: the strong tag, or exactly the date
    ({"Range": "bytes=2-4", "If-Range": '"abc"'}, 206, b"234", "bytes 2-4/10"),
    ({"Range": "bytes=2-4", "If-Range": 'W/"abc"'}, 200, BODY, None),
    ({"Range": "bytes=2-4", "If-Range": '"x"'}, 200, BODY, None),
    ({"Range": "bytes=2-4", "If-Range": AT}, 206, b"234", "bytes 2-4/10"),
    ({"Range": "bytes=2-4", "If-Range": AFTER}, 200, BODY, None),
    ({"Range": "bytes=2-4", "If-Range": BEFORE}, 200, BODY, None),
    ({"Range": "bytes=2-4", "If-Range": FAR}, 200, BODY, None),
    ({"Range": "bytes=100-", "If-Range": '"x"'}, 200, BODY, None),
    ({"If-Range": '"abc"'}, 200, BODY, None),
    # A true condition lets the range through
    ({"Range": "bytes=2-4", "If-Match": '"abc"'}, 206, b"234", "bytes 2-4/10"),
    ({"Range": "bytes=2-4", "If-None-Match": '"x"'}, 206, b"234", "bytes 2-4/10"),
]


def environ(headers: dict[str, str], method: str = "GET") -> dict[str, str]:
    return {
        "REQUEST_METHOD": method,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("headers", "status"), CONDITIONS, ids=str)
def test_conditions(headers: dict[str, str], status: int, method: str) -> None:
    given = answer(ENTRY, environ(headers, method), LATER)
    assert int(given.status[:3]) == status
    assert dict(given.headers)["ETag"] == '"abc"'
    if status == 200:
        assert given.body == BODY


@pytest.mark.parametrize(("headers", "status", "body", "content_range"), RANGES, ids=str)
def test_ranges(headers: dict[str, str], status: int, body: bytes, content_range: str | None) -> None:
    given = answer(ENTRY, environ(headers), LATER)
    assert int(given.status[:3]) == status
    assert given.body == body
    told = dict(given.headers)
    assert told.get("Content-Range") == content_range
    assert told["Content-Length"] == str(len(body))
    assert [name for name, _ in given.headers].count("Content-Length") == 1


@pytest.mark.parametrize("wanted", ["bytes=0-1", "bytes=100-"])
def test_a_range_means_nothing_to_head(wanted: str) -> None:
    given = answer(ENTRY, environ({"Range": wanted}, "HEAD"), LATER)
    assert given.status == "200 OK"
    assert dict(given.headers)["Content-Length"] == "10"


def test_a_304_has_what_a_cache_needs_and_nothing_of_the_body() -> None:
    given = answer(ENTRY, environ({"If-None-Match": "*"}), LATER)
    assert given.body == b""
    assert dict(given.headers) == {"ETag": '"abc"', "Last-Modified": AT}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Modified-Since": AT}, 200),
        ({"If-Modified-Since": AFTER}, 200),
        ({"If-Unmodified-Since": AT}, 412),
        ({"Range": "bytes=0-1", "If-Range": AT}, 200),
        ({"If-None-Match": '"abc"'}, 304),
        ({"Range": "bytes=0-1", "If-Range": '"abc"'}, 206),
    ],
    ids=str,
)
def test_within_two_seconds_of_a_change_dates_prove_nothing_and_tags_do(headers: dict[str, str], status: int) -> None:
    given = answer(ENTRY, environ(headers), UPDATED + 1)
    assert int(given.status[:3]) == status
    assert "Last-Modified" not in dict(given.headers)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Range"])
def test_which_requests_need_more_than_the_whole(name: str) -> None:
    assert is_conditional(environ({name: "x"}))
    assert not is_conditional(environ({"Accept": "image/*"}))


def test_the_shared_headers_stay_as_they_are() -> None:
    before = list(ENTRY.headers), list(ENTRY.settled_headers)
    for headers in [case[0] for case in CONDITIONS] + [case[0] for case in RANGES]:
        answer(ENTRY, environ(headers), LATER)
    assert whole(ENTRY, LATER).headers is ENTRY.settled_headers, "the hot path makes no list"
    assert (ENTRY.headers, ENTRY.settled_headers) == before
