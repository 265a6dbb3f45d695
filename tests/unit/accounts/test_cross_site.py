from __future__ import annotations

import itertools

import pytest

from elastic_images.accounts.cross_site import check_cross_site, is_same_origin, needs_form_token
from elastic_images.core.errors import CrossSite

CHANGING = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]
SAFE = ["GET", "HEAD", "OPTIONS"]
HOST = "images.example:5000"
OWN = "http://images.example:5000"
GOOD_SITES = [None, "same-origin", "none"]
BAD_SITES = ["cross-site", "same-site", "", "something-new"]
GOOD_ORIGINS = [None, OWN]
BAD_ORIGINS = [
    "null",
    "",
    "http://evil.example:5000",
    "http://images.example:5003",
    "http://images.example",
    "http://images.example.evil.example:5000",
    "http://user@evil.example:5000",
    "file://",
    "http://[",
    "http://images.example:port",
]


@pytest.mark.parametrize(("method", "site", "origin"), list(itertools.product(CHANGING, GOOD_SITES, GOOD_ORIGINS)))
def test_our_own_pages_and_programs_may_change_things(method: str, site: str | None, origin: str | None) -> None:
    check_cross_site(method, host=HOST, origin=origin, fetch_site=site)


@pytest.mark.parametrize(
    ("method", "site", "origin"),
    [
        *itertools.product(CHANGING, BAD_SITES, [*GOOD_ORIGINS, *BAD_ORIGINS]),
        *itertools.product(CHANGING, GOOD_SITES, BAD_ORIGINS),
    ],
)
def test_pages_of_other_sites_may_not(method: str, site: str | None, origin: str | None) -> None:
    with pytest.raises(CrossSite):
        check_cross_site(method, host=HOST, origin=origin, fetch_site=site)


@pytest.mark.parametrize(("method", "site", "origin"), list(itertools.product(SAFE, BAD_SITES, BAD_ORIGINS)))
def test_reading_is_not_changing(method: str, site: str, origin: str) -> None:
    check_cross_site(method, host=HOST, origin=origin, fetch_site=site)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://images.example", "images.example"),
        ("https://images.example", "images.example:443"),
        ("http://images.example", "images.example"),
        ("http://IMAGES.example:80", "images.EXAMPLE"),
        ("http://[::1]:5000", "[::1]:5000"),
        ("http://[0:0::1]:5000", "[::1]:5000"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
    ],
)
def test_same_origins(origin: str, host: str) -> None:
    assert is_same_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://images.example", "images.example:80"),
        ("http://localhost:5000", "127.0.0.1:5000"),
        ("http://127.0.0.1:5000", None),
        ("http://127.0.0.1:5000", ""),
        ("chrome-extension://abcdef", "abcdef"),
    ],
)
def test_other_origins(origin: str, host: str | None) -> None:
    assert not is_same_origin(origin, host)


def test_a_form_token_is_needed_only_where_a_cookie_alone_would_do() -> None:
    assert needs_form_token("POST", via_session=True, origin=None, fetch_site=None)
    assert not needs_form_token("POST", via_session=False, origin=None, fetch_site=None)
    assert not needs_form_token("GET", via_session=True, origin=None, fetch_site=None)
    assert not needs_form_token("POST", via_session=True, origin=OWN, fetch_site=None)
    assert not needs_form_token("POST", via_session=True, origin=None, fetch_site="same-origin")
