from __future__ import annotations

import pytest

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import InvalidKey, InvalidRequest
from elastic_images.core.fills import FillTicket
from elastic_images.core.keys import check_key
from elastic_images.core.partitions import partition_of
from elastic_images.core.renditions import PRESETS, names_of, rendition_name, split_name


def test_names_are_no_keys_and_fall_in_the_image_s_partition() -> None:
    for name in names_of("k1")[1:]:
        with pytest.raises(InvalidKey):
            check_key(name)
        assert partition_of(name) == partition_of("k1") == 11
        assert split_name(name)[0] == "k1"
    assert split_name("k1") == ("k1", None)


def test_an_unknown_rendition_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="huge"):
        rendition_name("k1", "huge")


def test_an_invalidation_drops_the_renditions_and_spoils_their_fills() -> None:
    cache = CoherentCache(ByteCache(1_000_000), lambda: 0.0, slot=None)
    cache.start_incarnation("a" * 32)
    cache.renew_lease(1.0)
    for name in names_of("k1"):
        begun = cache.lookup_or_begin_fill(name)
        assert isinstance(begun, FillTicket)
        cache.complete_fill(begun.fill, _entry(name))
    late = cache.lookup_or_begin_fill(rendition_name("k2", "thumb"))
    assert isinstance(late, FillTicket)

    assert cache.invalidate_keys("a" * 32, ["k1", "k2"]) == 1 + len(PRESETS)

    assert all(cache.lookup(name) is None for name in names_of("k1"))
    assert not cache.complete_fill(late.fill, _entry(late.fill.key))


def _entry(name: str) -> Entry:
    return Entry(name, b"x", content_type="image/png", etag='"e"', version=1, updated_at=0.0)
