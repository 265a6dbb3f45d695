from __future__ import annotations

import pytest

from elastic_images.core.errors import Unavailable
from elastic_images.http.bulkhead import Bulkhead
from elastic_images.web.bulkheads import MAX_BODIES, MAX_DRAINS, MAX_WAITING, default_bulkheads


def test_places_are_taken_and_given_back() -> None:
    places = Bulkhead(2, "uploads")
    for _ in range(5):
        with places.taken(), places.taken():
            assert not places.try_take()
            with pytest.raises(Unavailable) as refused, places.taken():
                raise AssertionError("there is no third place")
            assert refused.value.retry_after_seconds == 1
            assert "uploads" in str(refused.value)


def test_a_place_is_given_back_after_an_error() -> None:
    places = Bulkhead(1, "uploads")
    with pytest.raises(KeyError), places.taken():
        raise KeyError
    assert places.try_take()


def test_the_defaults_leave_threads_for_what_is_quick() -> None:
    assert MAX_BODIES + MAX_WAITING + MAX_DRAINS <= 128 - 16
    bulkheads = default_bulkheads(bodies=1)
    bulkheads.bodies.take()
    assert not bulkheads.bodies.try_take()
    assert bulkheads.waiting.try_take()
