"""Links that open one image until a time: the vectors for other languages, and what is refused."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import ElasticImagesError, InvalidRequest, SignatureExpired, SignatureInvalid
from elastic_images.core.keys import check_key
from elastic_images.core.rendition_query import RENDITION_PARAMETERS, parse_query
from elastic_images.core.signed_links import check_signature, parse_signature, sign, signed_query, string_to_sign

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "links.json").read_text(encoding="utf-8"))
LINKS: list[dict[str, Any]] = VECTORS["links"]
BY_NAME = {link["name"]: link for link in LINKS}
WIDTH = BY_NAME["a width"]
BEFORE = 1_800_000_000.0
SECRET = "the secret"


def judge(address: str, secret: str | None, now: float = BEFORE) -> None:
    """What web does with an address before it looks anything up."""
    parts = urlsplit(address)
    key = check_key(unquote(parts.path.removeprefix("/images/"), errors="strict"))
    signature = parse_signature(parts.query)
    assert signature is not None
    check_signature(secret, signature, key, now)


@pytest.mark.parametrize("link", LINKS, ids=lambda link: str(link["name"]))
def test_a_vector_is_signed_as_it_says(link: dict[str, Any]) -> None:
    given = {**link["params"], "exp": str(link["exp"]), "kid": link["kid"]}
    text = string_to_sign(link["key"], given)
    assert text == link["string_to_sign"]
    assert sign(link["secret"], text) == link["sig"]
    query = signed_query(link["secret"], link["kid"], link["key"], link["params"], link["exp"])
    assert f"/images/{quote(unicodedata.normalize('NFC', link['key']), safe='/')}?{query}" == link["address"]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: str(link["name"]))
def test_a_vector_opens_its_image_until_its_time(link: dict[str, Any]) -> None:
    judge(link["address"], link["secret"])
    judge(link["address"], link["secret"], link["exp"] - 0.001)
    with pytest.raises(SignatureExpired):
        judge(link["address"], link["secret"], link["exp"])
    with pytest.raises(SignatureInvalid):
        judge(link["address"], link["secret"] + "x", link["exp"])
    with pytest.raises(SignatureInvalid):
        judge(link["address"], None)


@pytest.mark.parametrize("same", VECTORS["same"], ids=lambda one: str(one["name"]))
def test_what_is_not_signed_changes_nothing(same: dict[str, Any]) -> None:
    judge(same["address"], WIDTH["secret"])


@pytest.mark.parametrize("wrong", VECTORS["wrong"], ids=lambda one: str(one["name"]))
def test_a_changed_link_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ElasticImagesError) as refused:
        judge(wrong["address"], WIDTH["secret"])
    assert (refused.value.status, refused.value.slug) == (wrong["status"], wrong["type"])


def test_a_query_without_a_signature_has_none() -> None:
    assert parse_signature("") is None
    assert parse_signature("w=400&utm_source=x&expires=5") is None


def test_a_cut_link_is_told_from_a_wrong_one() -> None:
    with pytest.raises(InvalidRequest, match="no sig: copy all"):
        parse_signature("w=400&exp=1893456000&kid=0a1b2c3d&si")
    with pytest.raises(InvalidRequest, match="no exp and no kid"):
        parse_signature(f"sig={WIDTH['sig']}")


def test_the_signature_is_no_part_of_what_is_asked_for() -> None:
    query = urlsplit(WIDTH["address"]).query
    assert parse_query(query, {}) == parse_query("w=400", {})


KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).map(
    lambda text: f"k{unicodedata.normalize('NFC', text).replace('/', '-')}"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PARAMETERS = st.dictionaries(st.sampled_from(sorted(RENDITION_PARAMETERS)), TEXT)


@given(key=KEYS, parameters=PARAMETERS, expires_at=st.integers(int(BEFORE) + 1, 10**12 - 1), order=st.randoms())
def test_what_we_sign_opens_in_any_order(key: str, parameters: dict[str, str], expires_at: int, order: Any) -> None:
    query = signed_query(SECRET, "00c0ffee", key, parameters, expires_at)
    parts = [*query.split("&"), "utm_source=x", "fbclid=%ff"]
    order.shuffle(parts)
    signature = parse_signature("&".join(parts))
    assert signature is not None
    check_signature(SECRET, signature, unicodedata.normalize("NFC", key), BEFORE)


@given(key=KEYS, parameters=PARAMETERS, other=KEYS, others=PARAMETERS)
def test_different_links_sign_different_texts(
    key: str, parameters: dict[str, str], other: str, others: dict[str, str]
) -> None:
    one, two = ((unicodedata.normalize("NFC", name), what) for name, what in ((key, parameters), (other, others)))
    assert (string_to_sign(*one) == string_to_sign(*two)) == (one == two)


@given(place=st.integers(0, 42), character=st.sampled_from("ABCDQRghwx0189-_+/=é "))
def test_no_other_text_is_the_same_signature(place: int, character: str) -> None:
    sig = WIDTH["sig"]
    changed = sig[:place] + character + sig[place + 1 :]
    pairs = dict(parse_qsl(urlsplit(WIDTH["address"]).query)) | {"sig": changed}
    address = "/images/cat.jpg?" + "&".join(f"{name}={quote(value)}" for name, value in pairs.items())
    if changed == sig:
        judge(address, WIDTH["secret"])
    else:
        with pytest.raises(SignatureInvalid):
            judge(address, WIDTH["secret"])
