from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import elastic_images.metrics
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.definitions import DEFINITIONS
from elastic_images.metrics.prometheus import registry_for

README = Path(elastic_images.metrics.__file__).with_name("README.md").read_text()


def everything() -> Counters:
    counters = Counters()
    for definition in DEFINITIONS.values():
        if definition.label:
            counters.follow_by_label(definition.name, lambda: {"one": 3, "another": 4})
        elif definition.kind == "gauge":
            counters.follow(lambda name=definition.name: {name: 7})  # type: ignore[misc]
        elif definition.name not in ("misses", "requests"):
            counters.counter(definition.name).add(3)
    return counters


def test_figures_are_shown_as_they_are_when_asked() -> None:
    counters = Counters()
    registry = registry_for("memcache", counters, version="1.2", source="node-4")
    counters.counter("hits").add(2)
    counters.counter("bypasses").add(1)
    counters.follow(lambda: {"bytes": 12})
    assert registry.get_sample_value("elastic_images_cache_hits_total") == 2
    assert registry.get_sample_value("elastic_images_cache_requests_total") == 3
    assert registry.get_sample_value("elastic_images_cache_misses_total") == 1
    assert registry.get_sample_value("elastic_images_cache_bytes") == 12
    about = {"app": "memcache", "source": "node-4", "version": "1.2"}
    assert registry.get_sample_value("elastic_images_info", about) == 1
    counters.counter("hits").increment()
    assert registry.get_sample_value("elastic_images_cache_hits_total") == 3


def test_a_figure_may_have_a_value_for_each_label() -> None:
    counters = Counters()
    counters.follow_by_label("refused_uploads", lambda: {"not-an-image": 2, "out-of-space": 0})
    registry = registry_for("storage", counters, version="1")
    for reason, value in (("not-an-image", 2), ("out-of-space", 0)):
        shown = registry.get_sample_value("elastic_images_storage_refused_uploads_total", {"reason": reason})
        assert shown == value
    for wrong in ("hits", "nonsense"):
        with pytest.raises(ValueError, match="no figure"):
            counters.follow_by_label(wrong, dict)
    with pytest.raises(ValueError, match="no counter"):
        counters.counter("refused_uploads")


def test_the_text_can_be_read_by_prometheus() -> None:
    text = generate_latest(registry_for("web", everything(), version="1")).decode()
    shown = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    assert {definition.exposed for definition in DEFINITIONS.values()} <= shown


def test_nothing_is_put_into_the_default_registry() -> None:
    registry_for("web", everything(), version="1")
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("elastic_images")]


def test_every_metric_is_documented_and_nothing_else_is() -> None:
    documented = dict(re.findall(r"^\| `((?:elastic_images|process)_\w+)` \| (.+?) \|$", README, flags=re.MULTILINE))
    registry = registry_for("web", everything(), version="1")
    exposed = {sample.name for family in registry.collect() for sample in family.samples}
    assert exposed <= documented.keys()
    ours = {definition.exposed: f"{definition.kind}: {definition.text}" for definition in DEFINITIONS.values()}
    assert {name: text for name, text in documented.items() if name in ours} == ours
    others = documented.keys() - ours.keys() - {"elastic_images_info"}
    assert all(name.startswith("process_") for name in others)


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_names_follow_the_conventions(name: str) -> None:
    definition = DEFINITIONS[name]
    assert re.fullmatch(r"elastic_images_[a-z]+(_[a-z]+)*", definition.family)
    assert definition.text.endswith(".")
    assert ("bytes" in name) == ("bytes" in definition.family)
