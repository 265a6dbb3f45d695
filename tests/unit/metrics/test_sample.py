from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest
from elastic_images.metrics.sample import MAX_SAMPLES_IN_A_BATCH, Sample, batch_from_json, batch_to_json

GOOD = Sample("run-1", "node-3", "node", 3, 100.5, 105.5, requests=3, hits=2, misses=1, capacity_bytes=64)
count = st.integers(0, 2**53 - 1)
moment = st.floats(0, 5e10)


@given(
    st.builds(
        Sample,
        id=st.from_regex(r"[0-9a-f]{32}-[1-9][0-9]{0,6}", fullmatch=True),
        source=st.sampled_from(["node-0", "web-1a2b"]),
        kind=st.sampled_from(["node", "web"]),
        slot=st.one_of(st.none(), st.integers(0, 7)),
        started_at=moment,
        ended_at=moment.map(lambda seconds: seconds + 5e10),
        **dict.fromkeys(("requests", "hits", "misses", "evictions", "bypasses", "items", "used_bytes"), count),
    )
)
def test_json_gives_the_same_sample_back(sample: Sample) -> None:
    assert batch_from_json(json.loads(json.dumps(batch_to_json([sample])))) == [sample]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", 7),
        ("source", "node 3"),
        ("source", "x" * 65),
        ("kind", "manager"),
        ("kind", ["node"]),
        ("slot", 8),
        ("slot", -1),
        ("slot", "3"),
        ("requests", -1),
        ("hits", 1.5),
        ("misses", True),
        ("bypasses", 2**53),
        ("items", None),
        ("started_at", math.nan),
        ("ended_at", math.inf),
        ("ended_at", 10**400),
        ("ended_at", "now"),
        ("ended_at", 100.0),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest):
        Sample.from_json(GOOD.to_json() | {field: value})


def test_missing_and_unknown_fields_are_refused() -> None:
    incomplete = GOOD.to_json()
    del incomplete["hits"]
    values: list[object] = [incomplete, GOOD.to_json() | {"more": 1}, [], None, "sample"]
    for value in values:
        with pytest.raises(InvalidRequest, match="A sample must have exactly the fields"):
            Sample.from_json(value)


@pytest.mark.parametrize("body", [None, [], {}, {"samples": {}}, {"samples": [1] * (MAX_SAMPLES_IN_A_BATCH + 1)}])
def test_what_is_no_batch_is_refused(body: Any) -> None:
    with pytest.raises(InvalidRequest, match="A batch must be"):
        batch_from_json(body)
