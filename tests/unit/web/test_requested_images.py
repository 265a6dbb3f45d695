"""What requests for images ask for, by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from testing.settings import make_settings

from elastic_images.core.errors import InvalidRequest, RenditionNotAllowed, Unavailable
from elastic_images.settings import Settings
from elastic_images.web.reads.requested_images import RequestedImages, rendition_rules


def requested(**settings: Any) -> RequestedImages:
    return RequestedImages(rendition_rules(make_settings(Path("/nowhere"), **settings)), lambda _environ: "anonymous")


def name(images: RequestedImages, query: str, **more: str) -> str:
    return images.name({"PATH_INFO": "/images/k1", "QUERY_STRING": query, **more})


@pytest.mark.parametrize("open_to_all", [{"renditions": "any"}, {"anonymous": "admin"}])
def test_the_bound_can_be_lifted(open_to_all: dict[str, str]) -> None:
    with pytest.raises(RenditionNotAllowed, match=r"/images/k1\?w=768 \."):
        name(requested(), "w=777")
    assert name(requested(**open_to_all), "w=777") == "k1\0w777"


def test_sizes_and_presets_come_from_the_settings() -> None:
    images = requested(
        rendition_widths=(777,), rendition_ratios=("7:1",), rendition_qualities=(33,), presets=("x=w=5&format=png",)
    )
    assert name(images, "w=777&h=111&q=33") == "k1\0w777,h111,q33"
    assert name(images, "preset=x") == "k1\0w5,png"
    assert name(images, "preset=og") == "k1\0w1200,h630,cover"
    with pytest.raises(InvalidRequest, match="thumb, preview, og, x"):
        name(images, "preset=y")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("RENDITION_WIDTHS", "0", "from 1 to 8192"),
        ("RENDITION_WIDTHS", ",", "at least one"),
        ("RENDITION_RATIOS", "4/3", "such as 4:3"),
        ("RENDITION_QUALITIES", "101", "from 1 to 100"),
        ("PRESETS", "card=w=0", "w is a whole number"),
        ("RENDITIONS", "some", "bounded, any"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(setting: str, value: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=f"(?s){setting}.*{said}"):
        Settings.load({}, {f"ELASTIC_IMAGES_{setting}": value, "ELASTIC_IMAGES_DATA": "/nowhere"})


def test_any_rendition_for_all_is_warned_of() -> None:
    assert any("RENDITIONS=any" in text for text in make_settings(Path("/nowhere"), renditions="any").warnings())
    assert not make_settings(Path("/nowhere")).warnings()


def test_a_name_that_depends_on_the_caller_is_not_found_without_waiting() -> None:
    images = requested()
    environ = {"PATH_INFO": "/images/k1", "QUERY_STRING": "w=777"}
    assert images.name_for_strangers(environ) is None
    assert images.name_for_strangers({**environ, "QUERY_STRING": "w=750"}) == "k1\0w750"


def test_a_pixel_beside_a_ratio_makes_no_further_rendition_for_strangers() -> None:
    images = requested()
    assert {name(images, f"w=400&h={height}") for height in (299, 300, 301)} == {"k1\0w400,h300"}
    assert images.name_for_strangers({"PATH_INFO": "/images/k1", "QUERY_STRING": "w=400&h=299"}) == "k1\0w400,h300"


def test_callers_with_a_token_get_the_size_to_the_pixel() -> None:
    images = RequestedImages(rendition_rules(make_settings(Path("/nowhere"))), lambda _environ: "token")
    with_token = {"HTTP_AUTHORIZATION": "Bearer x"}
    assert name(images, "w=400&h=299", **with_token) == "k1\0w400,h299"
    assert name(images, "w=401", **with_token) == "k1\0w401"
    environ = {"PATH_INFO": "/images/k1", "QUERY_STRING": "w=400&h=299", **with_token}
    assert images.name_for_strangers(environ) is None


def test_who_waits_for_a_rendition_is_asked_only_of_callers_with_credentials() -> None:
    def down(_environ: object) -> Any:
        raise Unavailable("the database is away")

    images = RequestedImages(rendition_rules(make_settings(Path("/nowhere"))), down)
    assert not images.is_member({})
    assert not images.is_member({"HTTP_COOKIE": "x"})


def test_remembered_queries_are_bounded() -> None:
    images = requested()
    for number in range(5_000):
        name(images, f"w=400&x={number}")
    assert len(images._judged) <= 4096
    assert name(images, f"w=400&x={'x' * 5_000}") == name(images, "w=400")
    assert max(map(len, images._judged)) < 2_000
