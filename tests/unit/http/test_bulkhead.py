from __future__ import annotations

import pytest

from elastic_images.core.errors import Unavailable
from elastic_images.http.bulkhead import Bulkhead, Shares
from elastic_images.web.bulkheads import MAX_DRAINS, MAX_FORMS, MAX_UPLOADS, MAX_WAITING, default_bulkheads


def test_places_are_taken_and_given_back() -> None:
    places = Bulkhead(2, "uploads")
    for _ in range(5):
        places.acquire()
        assert places.try_acquire()
        assert not places.try_acquire()
        with pytest.raises(Unavailable) as refused:
            places.acquire()
        assert refused.value.retry_after_seconds == 1
        assert "uploads" in str(refused.value)
        places.release()
        places.release()


def test_no_more_places_can_be_given_back_than_were_taken() -> None:
    places = Bulkhead(1, "uploads")
    with pytest.raises(ValueError, match="released too many"):
        places.release()


def test_a_client_has_half_of_the_places_and_a_few_beside_others() -> None:
    shares = Shares(8, 2, "uploads")
    for _ in range(4):
        shares.join("greedy")
    with pytest.raises(Unavailable) as refused:
        shares.join("greedy")
    assert refused.value.retry_after_seconds == 1
    for _ in range(2):
        shares.join("other")
    with pytest.raises(Unavailable):
        shares.join("other")
    for _ in range(3):
        shares.leave("greedy")
    shares.join("other")
    for client in ("greedy", "other", "other", "other"):
        shares.leave(client)
    assert not shares._taken


def test_the_defaults_leave_threads_for_what_is_quick() -> None:
    assert MAX_UPLOADS + MAX_FORMS + MAX_WAITING + MAX_DRAINS <= 256 - 64
    bulkheads = default_bulkheads(uploads=1)
    bulkheads.uploads.acquire()
    assert not bulkheads.uploads.try_acquire()
    assert bulkheads.forms.try_acquire()
    assert bulkheads.waiting.try_acquire()
