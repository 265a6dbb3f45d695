"""Links that store one image, once."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest, SignatureExpired, SignatureInvalid
from elastic_images.core.signed_links import check_signature, parse_signature, signed_query
from elastic_images.core.upload_links import parse_upload_link, upload_query
from elastic_images.core.visibility import Visibility

SECRET, KID, NONCE = "the secret", "00c0ffee", "0123456789abcdef" * 2
EXPIRES_AT, BEFORE = 1_893_456_000, 1_800_000_000.0


def query(
    target: str = "cat.jpg", *, is_prefix: bool = False, max_bytes: int = 1000, visibility: Visibility | None = None
) -> str:
    return upload_query(
        SECRET,
        KID,
        target,
        is_prefix=is_prefix,
        nonce=NONCE,
        max_bytes=max_bytes,
        visibility=visibility,
        expires_at=EXPIRES_AT,
    )


def judge(text: str, key: str, secret: str | None = SECRET, now: float = BEFORE) -> None:
    link = parse_upload_link(text)
    assert link is not None
    link.check(secret, key, now)


def test_it_says_what_it_allows() -> None:
    link = parse_upload_link(query(visibility="private"))
    assert link is not None
    assert (link.nonce, link.max_bytes, link.prefix, link.visibility) == (NONCE, 1000, None, "private")
    assert (link.signature.kid, link.signature.expires_at) == (KID, EXPIRES_AT)


def test_it_is_for_one_key_until_its_time() -> None:
    judge(query(), "cat.jpg")
    for key in ("dog.jpg", "cat.jpg2", ""):
        with pytest.raises(SignatureInvalid):
            judge(query(), key)
    with pytest.raises(SignatureInvalid):
        judge(query(), "cat.jpg", None)
    with pytest.raises(SignatureExpired):
        judge(query(), "cat.jpg", now=EXPIRES_AT)


def test_one_for_a_prefix_is_for_keys_that_begin_so() -> None:
    judge(query("holidays/", is_prefix=True), "holidays/beach.jpg")
    for key in ("other/beach.jpg", "holiday", "Holidays/beach.jpg"):
        with pytest.raises(SignatureInvalid, match="holidays/"):
            judge(query("holidays/", is_prefix=True), key)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_bytes=1000", "max_bytes=1001"),
        ("max_bytes=1000", "max_bytes=01000"),
        ("nonce=0", "nonce=1"),
        ("visibility=private", "visibility=public"),
        ("&visibility=private", ""),
        ("&sig=", "&prefix=cat&sig="),
        ("exp=1893456000", "exp=1893456001"),
        ("nonce=", "once="),
    ],
)
def test_a_changed_one_is_refused(old: str, new: str) -> None:
    text = query(visibility="private")
    assert old in text
    with pytest.raises(SignatureInvalid):
        judge(text.replace(old, new), "cat.jpg")


@pytest.mark.parametrize("more", ["nonce=1", "max_bytes=5", "prefix=a&prefix=b", "exp=1", "sig=x", "visibility=x"])
def test_a_repeated_part_or_an_unknown_visibility_is_a_bad_request(more: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_upload_link(f"{query()}&{more}")


def test_neither_kind_of_link_does_the_others_work() -> None:
    reading = parse_signature(query())
    assert reading is not None
    with pytest.raises(SignatureInvalid):
        check_signature(SECRET, reading, "cat.jpg", BEFORE)
    with pytest.raises(SignatureInvalid, match="stores none"):
        parse_upload_link(signed_query(SECRET, KID, "cat.jpg", {"w": "400"}, EXPIRES_AT))
    dressed = signed_query(SECRET, KID, "cat.jpg", {"max_bytes": "9", "nonce": NONCE}, EXPIRES_AT)
    with pytest.raises(SignatureInvalid, match="changed"):
        judge(dressed, "cat.jpg")


def test_an_address_without_a_signature_is_no_link() -> None:
    assert parse_upload_link("prefix=x&nonce=5&utm_source=1") is None


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


@given(prefix=TEXTS, rest=TEXTS, max_bytes=st.integers(1, 10**12))
def test_any_prefix_survives_the_address(prefix: str, rest: str, max_bytes: int) -> None:
    text = query(prefix, is_prefix=True, max_bytes=max_bytes)
    assert quote(prefix, safe="") in text
    judge(text, prefix + rest)
