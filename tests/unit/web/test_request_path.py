from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.keys import is_key

from elastic_images.core.errors import InvalidKey
from elastic_images.core.keys import quote_key
from elastic_images.web.request_path import key_in_path


def environ(raw_path: str) -> dict[str, str]:
    """As a WSGI server makes it of a path on the wire (PEP 3333)."""
    return {"PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1")}


@given(st.text(min_size=1, max_size=40).filter(is_key))
def test_a_key_comes_back_however_it_was_encoded(key: str) -> None:
    for encoded in (quote_key(key), quote(key, safe=""), "".join(f"%{byte:02x}" for byte in key.encode())):
        assert key_in_path(environ(f"/images/{encoded}"), "/images/") == key
        assert key_in_path(environ(f"/images/{encoded}/"), "/images/", trailing_slash=True) == key


@given(st.binary(max_size=20))
def test_any_bytes_are_a_key_or_refused(path: bytes) -> None:
    made = {"PATH_INFO": "/images/" + path.decode("latin-1")}
    try:
        key = key_in_path(made, "/images/")
    except InvalidKey:
        return
    assert key.encode() == path


@pytest.mark.parametrize("path", ["", "/", "k/", "/k", "a//b", "..", "a/%2e%2e/b", "%C3%28", "%ff", "%00", "k%0a"])
def test_no_keys(path: str) -> None:
    with pytest.raises(InvalidKey):
        key_in_path(environ(f"/images/{path}"), "/images/")


def test_one_slash_at_the_end_at_most_is_left_aside() -> None:
    assert key_in_path(environ("/api/key/k1/"), "/api/key/", trailing_slash=True) == "k1"
    for path in ("/api/key/k1//", "/api/key//"):
        with pytest.raises(InvalidKey):
            key_in_path(environ(path), "/api/key/", trailing_slash=True)


def test_the_prefix_is_taken_away_once() -> None:
    assert key_in_path(environ("/images/images/k1"), "/images/") == "images/k1"
