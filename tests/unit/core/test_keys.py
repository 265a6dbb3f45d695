from __future__ import annotations

import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidKey
from elastic_images.core.keys import MAX_KEY_BYTES, check_key, check_new_key, quote_key

GOOD = [
    "a",
    "k1",
    "holiday/2026/beach.jpg",
    " leading and trailing ",
    "a..b",
    "...",
    ".hidden",
    "..a/b..",
    "Case1",
    "case1",
    "case1 ",
    "\u00e9",
    "\u65e5\u672c\u8a9e/\u5199\u771f",
    "\U0001f600" * 255,
    "x" * 255,
    "100%",
    "a%2Fb",
    "a\\b",
    "a?b#c",
    "+",
]

BAD = {
    "empty": "",
    "256 characters": "x" * 256,
    "slash alone": "/",
    "slash in front": "/a",
    "slash behind": "a/",
    "empty segment": "a//b",
    "dot": ".",
    "dot dot": "..",
    "dot segment": "a/./b",
    "dot dot segment": "a/../b",
    "leading dot dot": "../a",
    "trailing dot dot": "a/..",
    "nul": "a\x00b",
    "newline": "a\nb",
    "delete": "a\x7f",
    "C1 control": "a\x85",
    "surrogate": "a\ud800",
    "not NFC": "e\u0301",
}


@pytest.mark.parametrize("key", GOOD)
def test_a_key_comes_back_as_it_is(key: str) -> None:
    assert check_key(key) == key
    assert len(key.encode()) <= MAX_KEY_BYTES


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(text)


@given(st.text(max_size=300))
def test_a_text_is_a_key_or_refused_and_nothing_else(text: str) -> None:
    try:
        key = check_key(text)
    except InvalidKey:
        return
    assert 1 <= len(key) <= 255
    assert unicodedata.normalize("NFC", key) == key
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in key)
    assert not {"", ".", ".."} & set(key.split("/"))


@given(st.text(min_size=1, max_size=60))
def test_a_quoted_key_is_a_path_that_gives_the_key_back(text: str) -> None:
    try:
        key = check_key(text)
    except InvalidKey:
        return
    quoted = quote_key(key)
    assert unquote(quoted) == key
    assert quoted.isascii()
    assert quoted.count("/") == key.count("/")
    assert not set(quoted) & set(" ?#\\")


@pytest.mark.parametrize("character", [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))])
def test_new_keys_do_not_turn_text_around(character: str) -> None:
    key = f"holiday{character}gpj.exe"
    assert check_key(key) == key
    with pytest.raises(InvalidKey, match="direction"):
        check_new_key(key)


@pytest.mark.parametrize("key", [*GOOD, "\u05e9\u05dc\u05d5\u05dd", "\u200frtl mark", "a\u200bb"])
def test_other_keys_may_be_new(key: str) -> None:
    assert check_new_key(key) == key


@pytest.mark.parametrize("key", BAD.values(), ids=BAD.keys())
def test_a_new_key_is_a_key(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_new_key(key)
