from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.pool_config import COURSE_NAMES, MEGABYTE, OWN_NAMES, ScalingConfig, check_config


def test_defaults_make_sense() -> None:
    check_config(ScalingConfig())
    assert ScalingConfig(cache_mb=64).cache_bytes == 64 * MEGABYTE == 64_000_000


def test_merge_takes_any_part_and_leaves_the_rest() -> None:
    before = ScalingConfig(num_nodes=3, policy="RR")
    after = before.merge({"mode": "auto", "cache_mb": 10})
    assert after == ScalingConfig(mode="auto", num_nodes=3, cache_mb=10, policy="RR")
    assert before.merge({}) == before


def test_merge_reads_the_course_apis_texts() -> None:
    texts = {
        "mode": "auto",
        "numNodes": "8",
        "cacheSize": "100",
        "policy": "RR",
        "expRatio": "1.5",
        "shrinkRatio": ".25",
        "maxMiss": "0.9",
        "minMiss": "1e-1",
    }
    assert ScalingConfig().merge(texts, COURSE_NAMES) == ScalingConfig("auto", 8, 100, "RR", 1.5, 0.25, 0.9, 0.1)


@pytest.mark.parametrize(
    ("partial", "message"),
    [
        ({"numNodes": "0"}, "numNodes must be from 1 to 8, not 0."),
        ({"numNodes": "9"}, "numNodes must be from 1 to 8, not 9."),
        ({"numNodes": "nan"}, "numNodes must be a whole number, not 'nan'."),
        ({"numNodes": math.nan}, "numNodes must be a whole number, not nan."),
        ({"numNodes": math.inf}, "numNodes must be a whole number, not inf."),
        ({"numNodes": "abc"}, "numNodes must be a whole number, not 'abc'."),
        ({"numNodes": "4.5"}, "numNodes must be a whole number, not '4.5'."),
        ({"numNodes": ""}, "numNodes must be a whole number, not ''."),
        ({"numNodes": "٤"}, "numNodes must be a whole number, not '٤'."),
        ({"numNodes": None}, "numNodes must be a whole number, not None."),
        ({"numNodes": True}, "numNodes must be a whole number, not True."),
        ({"numNodes": 10**5000}, "numNodes must be a whole number, not a number of that size."),
        ({"numNodes": "9" * 5000}, f"numNodes must be a whole number, not '{'9' * 39}...."),
        ({"cacheSize": "-1"}, "cacheSize must be from 1 to 1000000, not -1."),
        ({"cacheSize": 0}, "cacheSize must be from 1 to 1000000, not 0."),
        ({"cacheSize": "1000001"}, "cacheSize must be from 1 to 1000000, not 1000001."),
        ({"policy": "FIFO"}, "policy must be LRU, RR, GDSF or S3FIFO, not 'FIFO'."),
        ({"policy": ["LRU"]}, "policy must be a word, not ['LRU']."),
        ({"mode": "automatic"}, "mode must be manual or auto, not 'automatic'."),
        ({"expRatio": "1"}, "expRatio must be above 1, not 1."),
        ({"expRatio": "inf"}, "expRatio must be a number, not 'inf'."),
        ({"expRatio": "1_0"}, "expRatio must be a number, not '1_0'."),
        ({"expRatio": "1e999"}, "expRatio must be a number, not '1e999'."),
        ({"shrinkRatio": 0}, "shrinkRatio must be between 0 and 1, not 0."),
        ({"shrinkRatio": "1.0"}, "shrinkRatio must be between 0 and 1, not 1."),
        ({"maxMiss": "1.01"}, "maxMiss must be from 0 to 1, not 1.01."),
        ({"minMiss": "-0.1"}, "minMiss must be from 0 to 1, not -0.1."),
        ({"minMiss": "nan"}, "minMiss must be a number, not 'nan'."),
        ({"maxMiss": "0.2", "minMiss": "0.4"}, "minMiss (0.4) must be below maxMiss (0.2)."),
        ({"maxMiss": "0.4", "minMiss": "0.4"}, "minMiss (0.4) must be below maxMiss (0.4)."),
    ],
)
def test_a_bad_value_is_named_as_the_caller_spells_it(partial: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ScalingConfig().merge(partial, COURSE_NAMES)
    assert str(refused.value) == message


def test_our_own_names_are_used_without_a_table_of_names() -> None:
    with pytest.raises(InvalidRequest, match=r"^num_nodes must be from 1 to 8, not 9\.$"):
        ScalingConfig().merge({"num_nodes": 9})
    with pytest.raises(InvalidRequest, match=r"^There is no setting 'numNodes'"):
        ScalingConfig().merge({"numNodes": 2})


def test_a_combination_is_judged_with_what_is_kept() -> None:
    with pytest.raises(InvalidRequest, match=r"^min_miss \(0\.5\) must be below max_miss \(0\.3\)\.$"):
        ScalingConfig(max_miss=0.3).merge({"min_miss": 0.5})


@pytest.mark.parametrize("field", ["expand_ratio", "shrink_ratio", "max_miss", "min_miss"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_check_refuses_what_is_no_number(field: str, number: float) -> None:
    with pytest.raises(InvalidRequest, match=field):
        check_config(ScalingConfig(**{field: number}))  # type: ignore[arg-type]


def test_every_setting_but_the_assignment_has_a_name_in_the_course_api() -> None:
    assert sorted([*COURSE_NAMES.values(), "assignment"]) == sorted(OWN_NAMES)


def test_the_assignment_is_one_of_two() -> None:
    assert ScalingConfig().merge({"assignment": "minimal"}).assignment == "minimal"
    with pytest.raises(InvalidRequest, match="assignment must be alternating or minimal, not 'even'"):
        ScalingConfig().merge({"assignment": "even"})


sane = st.builds(
    ScalingConfig,
    mode=st.sampled_from(["manual", "auto"]),
    num_nodes=st.integers(1, 8),
    cache_mb=st.integers(1, 1_000_000),
    policy=st.sampled_from(["LRU", "RR"]),
    expand_ratio=st.floats(1, 1e6, exclude_min=True),
    shrink_ratio=st.floats(0, 1, exclude_min=True, exclude_max=True),
    max_miss=st.floats(0.5, 1),
    min_miss=st.floats(0, 0.5, exclude_max=True),
)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["1", "4.5", "nan", "auto", "RR"])
)


@given(sane)
def test_json_gives_the_same_config_back(config: ScalingConfig) -> None:
    assert ScalingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@given(sane, st.dictionaries(st.one_of(st.sampled_from(sorted(OWN_NAMES)), st.text()), anything))
def test_merge_gives_a_sane_config_or_refuses(config: ScalingConfig, partial: dict[str, Any]) -> None:
    try:
        merged = config.merge(partial)
    except InvalidRequest:
        return
    check_config(merged)
    untouched = set(OWN_NAMES) - set(partial)
    assert all(getattr(merged, name) == getattr(config, name) for name in untouched)
