from __future__ import annotations

from hashlib import sha256

import pytest

from elastic_images.core.entry import FETCH_SECONDS, OVERHEAD_BYTES, Entry
from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import quoted
from elastic_images.http.entries import entry_from_answer, fact_headers, has_facts
from elastic_images.imaging.imaging import Rendition
from elastic_images.memcache.renditions import rendition_entry

ETAG = quoted(sha256(b"bytes").hexdigest())
FACTS = {
    "x-image-version": "1",
    "x-image-updated": "1.5",
    "x-image-visibility": "members",
    "content-type": "image/png",
    "etag": ETAG,
}


def make(updated_at: float = 1_000_000_000.9) -> Entry:
    return Entry(
        "caf\u00e9",
        b"bytes",
        content_type="image/png",
        etag='"e"',
        version=3,
        updated_at=updated_at,
        visibility="public",
        owner_id=None,
        extra_headers=[("X-More", "1")],
    )


def test_an_entry_counts_its_key_its_bytes_and_the_overhead() -> None:
    assert make().size_bytes == 5 + 5 + OVERHEAD_BYTES


def test_the_headers_of_a_whole_answer() -> None:
    assert make().headers_at(2e9) == [
        ("Content-Type", "image/png"),
        ("Content-Length", "5"),
        ("ETag", '"e"'),
        ("Accept-Ranges", "bytes"),
        ("X-More", "1"),
        ("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ]


@pytest.mark.parametrize(("seconds_after", "shown"), [(-5.0, False), (0.0, False), (1.99, False), (2.0, True)])
def test_last_modified_is_left_out_within_two_seconds_of_the_change(seconds_after: float, shown: bool) -> None:
    entry = make(updated_at=1e9)
    assert ("Last-Modified" in dict(entry.headers_at(1e9 + seconds_after))) == shown


@pytest.mark.parametrize("owner_id", [12, None])
def test_an_entry_travels_between_processes_unchanged(owner_id: int | None) -> None:
    sent = Entry(
        "k",
        b"bytes",
        content_type="image/gif",
        etag=ETAG,
        version=7,
        updated_at=1e9 + 1 / 3,
        visibility="private",
        owner_id=owner_id,
    )
    facts = fact_headers(sent.version, sent.updated_at, sent.visibility, sent.owner_id)
    headers = {name.lower(): value for name, value in [*sent.headers, *facts]}
    got = entry_from_answer("k", headers, sent.body)
    assert (got.key, got.body, got.content_type, got.etag, got.version, got.updated_at) == (
        sent.key,
        sent.body,
        sent.content_type,
        sent.etag,
        sent.version,
        sent.updated_at,
    )
    assert (got.visibility, got.owner_id) == ("private", owner_id)
    assert dict(got.headers)["X-Image-Version"] == "7", "to another process of ours it goes out with its facts"
    public = entry_from_answer("k", headers, sent.body, [("Cache-Control", "no-cache")])
    assert not [name for name in dict(public.headers) if name.startswith("X-Image-")]
    assert dict(public.headers)["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("without", list(FACTS))
def test_an_answer_that_lacks_a_fact_is_none(without: str) -> None:
    assert has_facts(FACTS)
    entry_from_answer("k", FACTS, b"bytes")
    lacking = {name: value for name, value in FACTS.items() if name != without}
    assert not has_facts(lacking)
    with pytest.raises(Unavailable):
        entry_from_answer("k", lacking, b"bytes")


@pytest.mark.parametrize("arrived", [b"bytez", b"byte", b"bytess", b""])
def test_bytes_other_than_the_etag_names_are_refused(arrived: bytes) -> None:
    with pytest.raises(Unavailable, match="damaged on its way"):
        entry_from_answer("k", FACTS, arrived)


@pytest.mark.parametrize(
    "unreadable", [{"x-image-version": "one"}, {"x-image-visibility": "secret"}, {"x-image-owner": "ann"}], ids=str
)
def test_a_fact_that_cannot_be_read_is_none(unreadable: dict[str, str]) -> None:
    with pytest.raises(Unavailable, match="facts"):
        entry_from_answer("k", FACTS | unreadable, b"bytes")


def test_what_a_rendition_cost_to_make_travels_with_it() -> None:
    made = Rendition(b"bytes", "image/webp", 3, 2, processor_seconds=0.05)
    sent = rendition_entry("k\0w3", make(), made)
    got = entry_from_answer(sent.key, {name.lower(): value for name, value in sent.headers}, sent.body)
    assert got.cost_seconds == sent.cost_seconds == pytest.approx(0.05 + FETCH_SECONDS)
    assert entry_from_answer("k", FACTS, b"bytes").cost_seconds == FETCH_SECONDS, "an original's is that of its fetch"
