from __future__ import annotations

import pytest

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import InvalidKey, InvalidRequest
from elastic_images.core.fills import FillTicket
from elastic_images.core.keys import check_key
from elastic_images.core.partitions import partition_of
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import PRESETS, NamesByKey, is_rendition, preset, rendition_name, split_name

THUMB = rendition_name("k1", PRESETS["thumb"])


def test_names_are_no_keys_and_fall_in_the_image_s_partition() -> None:
    with pytest.raises(InvalidKey):
        check_key(THUMB)
    assert partition_of(THUMB) == partition_of("k1") == 11
    assert is_rendition(THUMB)
    assert not is_rendition("k1")
    assert split_name("k1") == ("k1", None)


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="huge"):
        preset("huge")


def test_names_are_found_by_key_while_they_are_there() -> None:
    names = NamesByKey()
    for name in ("k1", THUMB, "k2"):
        names.add(name)
    assert set(names.of("k1")) == {"k1", THUMB}
    assert set(names.of("k")) == {"k"}
    names.discard(THUMB)
    names.discard(THUMB)
    assert set(names.of("k1")) == {"k1"}
    assert not names._names, "a key without renditions leaves nothing"


def test_an_invalidation_drops_the_renditions_and_spoils_their_fills() -> None:
    cache = _cache()
    kept = ["k1", THUMB, rendition_name("k1", RenditionSpec(77, format="webp")), "k3"]
    for name in kept:
        begun = cache.lookup_or_begin_fill(name)
        assert isinstance(begun, FillTicket)
        cache.complete_fill(begun.fill, _entry(name))
    late = cache.lookup_or_begin_fill(rendition_name("k2", PRESETS["thumb"]))
    assert isinstance(late, FillTicket)

    assert cache.invalidate_keys("a" * 32, ["k1", "k2"]) == 3

    assert [name for name in kept if cache.lookup(name)] == ["k3"]
    assert not cache.complete_fill(late.fill, _entry(late.fill.key))
    assert not cache._cache._names._names
    assert not cache._filled_names._names


def test_an_original_that_only_a_rendition_needed_is_the_first_to_go() -> None:
    cache = _cache(capacity_bytes=5_000)  # four entries
    for name in ("old", "new"):
        begun = cache.lookup_or_begin_fill(name)
        assert isinstance(begun, FillTicket)
        assert cache.complete_fill(begun.fill, _entry(name))
    ticket = cache.original_or_begin_fill("k1")
    assert isinstance(ticket, FillTicket)
    assert ticket.leader
    assert cache.complete_fill(ticket.fill, _entry("k1"))
    assert isinstance(cache.original_or_begin_fill("k1"), Entry), "kept, and looking at it is no use"
    assert [entry.key for entry, _ in cache.entries(frozenset(range(16)))] == ["new", "old", "k1"]
    for name in ("a", "b"):
        begun = cache.lookup_or_begin_fill(name)
        assert isinstance(begun, FillTicket)
        cache.complete_fill(begun.fill, _entry(name))
    assert [name for name in ("old", "new", "k1", "a", "b") if cache.lookup(name)] == ["old", "new", "a", "b"]


def test_an_original_that_somebody_asked_for_meanwhile_is_kept_like_any_other() -> None:
    cache = _cache()
    ticket = cache.original_or_begin_fill("k1")
    joined = cache.lookup_or_begin_fill("k1")
    assert isinstance(ticket, FillTicket)
    assert isinstance(joined, FillTicket)
    assert not joined.leader
    assert cache.complete_fill(ticket.fill, _entry("k1"))
    assert not cache._cache._demoted


def _cache(capacity_bytes: int = 1_000_000) -> CoherentCache:
    cache = CoherentCache(ByteCache(capacity_bytes), lambda: 1.0, slot=None)
    cache.start_incarnation("a" * 32)
    cache.renew_lease(2.0)
    return cache


def _entry(name: str) -> Entry:
    return Entry(
        name, b"x", content_type="image/png", etag='"e"', version=1, updated_at=0.0, visibility="public", owner_id=None
    )
