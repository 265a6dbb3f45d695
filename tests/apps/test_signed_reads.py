"""Signed links to images. Each test runs by the front, and by what the server behind it calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.apps.node_support import Storage, entry, served_node
from tests.apps.plane_support import KEY, Web, told

from elastic_images.core.errors import NotFound
from elastic_images.core.signed_links import signed_query
from elastic_images.core.visibility import Visibility
from elastic_images.http.answer import Answer

ANNS, BOBS, ROOTS = "a0000001", "b0000002", "c0000003"
LATER = int(time.time()) + 3600


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(params=["front", "behind"])
def make(stack: ExitStack, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Web]:
    def made(*, visibility: Visibility = "private", **options: Any) -> Web:
        """`KEY` is an image of ann's."""
        storage = Storage()
        storage.entries[KEY] = entry(KEY, visibility=visibility, owner_id=1)
        web = Web(storage, stack.enter_context(served_node(storage, tmp_path, slot=0)), **options)
        stack.callback(web.client.close)
        if request.param == "front":
            stack.enter_context(web.behind_front())
        return web

    return made


def link(kid: str, key: str = KEY, expires_at: int = LATER, **parameters: str) -> str:
    return signed_query(f"secret {kid}", kid, key, parameters, expires_at)


def code(answer: Answer) -> int:
    return int(answer.status[:3])


def problem(answer: Answer) -> tuple[int, str]:
    kind = answer.body.partition(b'"type": "')[2].partition(b'"')[0].rpartition(b"/")[2]
    return code(answer), kind.decode()


@pytest.mark.parametrize("near_bytes", [0, 1_000_000], ids=["node", "near"])
@pytest.mark.parametrize("mode", ["read", "none"])
def test_a_link_opens_what_its_account_may_see(make: Callable[..., Web], near_bytes: int, mode: str) -> None:
    web = make(near_bytes=near_bytes, mode=mode)
    for _ in range(4):  # from storage, from memory, from the near cache
        for kid in (ANNS, ROOTS):
            answer = web.get(query=link(kid))
            assert (code(answer), answer.body) == (200, b"k1 version 1")
            assert told(answer, "Cache-Control") == "private, no-cache"
            assert told(answer, "Access-Control-Allow-Origin") == "*"
        assert code(web.get(query=link(BOBS))) == 404
        assert code(web.get(query=link(ANNS), if_none_match=entry(KEY).etag)) == 304
        assert code(web.get(query=link(BOBS), if_none_match="*")) == 404
    assert code(web.get()) in (404, 418)  # 418: Flask asks for a login
    assert web.identified in ([], [""] * len(web.identified))


def test_a_link_to_a_public_image_is_kept_by_shared_caches_as_the_image_is(make: Callable[..., Web]) -> None:
    web = make(visibility="public")
    answer = web.get(query=link(BOBS))
    assert told(answer, "Cache-Control") == "public, no-cache"
    assert told(answer, "Access-Control-Allow-Origin") == "*"
    web = make(visibility="public", mode="none")
    assert told(web.get(query=link(BOBS)), "Cache-Control") == "private, no-cache"


def test_an_immutable_address_of_a_private_image_is_not_kept(make: Callable[..., Web]) -> None:
    web = make()
    version = entry(KEY).original[:12]
    answer = web.get(query=link(ANNS, v=version))
    assert (code(answer), told(answer, "Cache-Control")) == (200, "private, no-cache")


WRONG = {
    "another image": link(ANNS, "k2"),
    "another secret": signed_query("guessed", ANNS, KEY, {}, LATER),
    "an unknown key": link("dddddddd"),
    "cut": link(ANNS)[:-1],
    "a parameter added": link(ANNS) + "&w=320",
    "a parameter changed": link(ANNS, w="320").replace("w=320", "w=640"),
    "longer": link(ANNS).replace(f"exp={LATER}", f"exp={LATER + 1}"),
    "percent-encoded": link(ANNS, "k2").replace("sig=", "%73ig="),
}


@pytest.mark.parametrize("near_bytes", [0, 1_000_000], ids=["node", "near"])
@pytest.mark.parametrize("visibility", ["public", "private"])
def test_a_wrong_link_is_refused_before_anything_is_looked_up(
    make: Callable[..., Web], visibility: Visibility, near_bytes: int
) -> None:
    web = make(visibility=visibility, near_bytes=near_bytes)
    for query in WRONG.values():
        for key in (KEY, "unknown"):
            for asked in ({}, {"if_none_match": "*"}, {"authorization": "Bearer ann"}, {"cookie": "session=root"}):
                assert problem(web.get(key, query=query, **asked)) == (403, "signature-invalid"), (query, key, asked)
    assert web.storage.asked == []
    assert problem(web.get(query=link(ANNS, expires_at=int(time.time())))) == (403, "signature-expired")
    assert problem(web.get(query=link(ANNS).replace("&sig", "&si"))) == (400, "invalid-request")
    assert problem(web.get(query=link(ANNS, w="320") + "&w=320")) == (400, "invalid-request")
    assert web.storage.asked == []


def test_the_link_counts_and_not_who_has_it(make: Callable[..., Web]) -> None:
    web = make()
    for asked in ({"authorization": "Bearer ann"}, {"cookie": "session=root"}, {"authorization": "Bearer wrong"}):
        assert code(web.get(query=link(BOBS), **asked)) == 404
        assert code(web.get(query=link(ANNS), **asked)) == 200


def test_a_link_ends_with_its_key_and_follows_its_account(make: Callable[..., Web]) -> None:
    web = make(near_bytes=1_000_000)
    for _ in range(3):
        assert code(web.get(query=link(ANNS))) == 200
        assert code(web.get(query=link(ROOTS))) == 200
    asked = len(web.keys_asked)
    assert code(web.get(query=link(ANNS))) == 200
    assert len(web.keys_asked) == asked
    del web.signers[ANNS]
    web.people["root"] = web.people["bob"]
    web.now += 1.9
    assert code(web.get(query=link(ANNS))) == 200
    web.now += 0.1
    assert problem(web.get(query=link(ANNS))) == (403, "signature-invalid")
    assert code(web.get(query=link(ROOTS))) == 404


@pytest.mark.parametrize("near_bytes", [0, 1_000_000], ids=["node", "near"])
def test_a_link_to_a_public_image_ends_with_its_key_too(make: Callable[..., Web], near_bytes: int) -> None:
    web = make(visibility="public", near_bytes=near_bytes)
    for _ in range(3):
        assert code(web.get(query=link(ANNS))) == 200
    del web.signers[ANNS]
    web.now += 2.0
    for _ in range(2):
        assert problem(web.get(query=link(ANNS))) == (403, "signature-invalid")


def test_a_revocation_in_this_process_holds_at_once(make: Callable[..., Web]) -> None:
    web = make()
    assert code(web.get(query=link(ANNS))) == 200
    del web.signers[ANNS]
    web.viewers.forget()
    assert problem(web.get(query=link(ANNS))) == (403, "signature-invalid")


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_a_link_lifts_the_bound_on_renditions(make: Callable[..., Web], visibility: Visibility) -> None:
    web = make(visibility=visibility)
    refused = web.get(query="w=777")
    assert problem(refused) == (403, "rendition-not-allowed")
    assert b"POST /api/links" in refused.body
    assert problem(web.get(query=link(BOBS, "k2", w="777"))) == (403, "signature-invalid")
    assert code(web.get(query=link(BOBS, w="777"))) == (200 if visibility == "public" else 404)
    assert code(web.get(query=link(ANNS, w="777"))) == 200
    assert code(web.get(query="w=777")) == 403


def test_made_up_keys_are_not_remembered(make: Callable[..., Web]) -> None:
    web = make()
    assert code(web.get(query=link(ANNS))) == 200
    for number in range(3):
        for _ in range(2):
            assert problem(web.get(query=link(f"{number:08x}"))) == (403, "signature-invalid")
    assert web.keys_asked == [ANNS, *(f"{number:08x}" for number in (0, 0, 1, 1, 2, 2))]


def test_right_links_that_somebody_made_longer_are_not_remembered(make: Callable[..., Web]) -> None:
    web = make()
    for _ in range(2):
        assert code(web.get(query=f"{link(ANNS)}&utm_source={'x' * 5_000}")) == 200
    assert web.viewers._links is not None
    assert not web.viewers._links._right


def test_a_name_that_is_no_key_is_told_as_such(make: Callable[..., Web]) -> None:
    with pytest.raises(NotFound):
        make().storage.metadata("unknown")
    assert problem(make().get("a//b", query=link(ANNS, "a//b"))) == (400, "invalid-key")
