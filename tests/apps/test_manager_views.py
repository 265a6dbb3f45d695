"""What the manager makes of what it is told: health, words, the ring, charts, explanations. Pure."""

from __future__ import annotations

import re
import threading
from typing import Any
from xml.etree import ElementTree

import pytest

from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.pool_map import close_resize, first_map, open_resize
from elastic_images.http.readiness import Check, Readiness
from elastic_images.manager.charts import figures
from elastic_images.manager.decision_groups import grouped
from elastic_images.manager.event_log import shown_events
from elastic_images.manager.explain import explanation, problems
from elastic_images.manager.flash import FlashMessage, FlashMessages
from elastic_images.manager.health import assess, worst
from elastic_images.manager.overview import Overview
from elastic_images.manager.ring import ring
from elastic_images.manager.setting_labels import LABELS
from elastic_images.manager.sizes import sizes

NOW = 1.8e9
FOUR = tuple(number % 4 for number in range(16))
THREE = tuple(number % 3 for number in range(16))


def node(slot: int, **changes: Any) -> dict[str, Any]:
    stats = {"items": 1, "bytes": 2, "capacity_bytes": 3}
    return {"slot": slot, "id": f"node-{slot}", "state": "live", "started_at": NOW - 600, "stats": stats} | changes


def overview(*nodes: dict[str, Any], **changes: Any) -> Overview:
    """All is well, but for `changes`: a dict changes what is in a part, anything else takes its place."""
    known: dict[str, Any] = {
        "pool": {"wanted": len(nodes), "busy": False, "phase": "settled", "nodes": list(nodes)},
        "config": ScalingConfig().to_json(),
        "rate": {"requests": 100, "miss_rate": 0.1, "sources": [one["id"] for one in nodes]},
        "usage": {"images": 1, "bytes": 5, "damaged": 0, "lost": 0},
    }
    for name, change in changes.items():
        merge = isinstance(change, dict) and name in known
        known[name] = known[name] | change if merge else change
    return Overview(**known)


def storage(*, full: bool = False, refused: dict[str, int] | None = None, **figures: float) -> Any:
    """How a storage app fares."""
    checks = {"free_space": Check(ok=not full, detail="Full.")}
    ready = Readiness(read=True, write=not full, checks=checks)
    return {
        "readiness": ready.to_json(),
        "figures": {"free_bytes": 4e9, "database_failures": 0, "collector_oldest": 0} | figures,
        "refused_last_hour": refused or {},
    }


def levels(one: Overview) -> dict[str, str]:
    return {part.name: part.level for part in assess(one, NOW)}


# Health.


def test_all_is_well() -> None:
    parts = assess(overview(node(0), node(1)), NOW)
    assert {part.level for part in parts} == {"ok"}
    assert worst(parts) == "ok"
    assert not [part.advice for part in parts if part.advice]


@pytest.mark.parametrize(
    ("seen", "part", "level", "words"),
    [
        (overview(node(0), usage=None, storage_error="gone"), "Storage", "bad", "gone"),
        (overview(node(0), storage_trouble="object_store: away"), "Storage", "bad", "object_store: away"),
        (overview(node(0), database_error="gone"), "Database", "bad", "gone"),
        (overview(node(0), storage=[storage()]), "Storage", "ok", "4.0 GB free; writable"),
        (overview(node(0), storage=[storage(), storage(free_bytes=1000)]), "Storage", "ok", "1.0 KB free"),
        (
            overview(node(0), storage=[storage(), storage(full=True)]),
            "Storage",
            "bad",
            "not writable. free_space",
        ),
        (overview(node(0), usage={"damaged": 1, "lost": 2}), "Storage", "bad", "1 damaged, 2 lost"),
        (overview(node(0), storage=[storage()]), "Uploads", "ok", "None refused"),
        (
            overview(node(0), storage=[storage(refused={"not-an-image": 2}), storage(refused={"not-an-image": 1})]),
            "Uploads",
            "ok",
            "3 refused in the last hour: 3 not-an-image",
        ),
        (
            overview(node(0), storage=[storage(refused={"out-of-space": 2, "too-large": 1})]),
            "Uploads",
            "warn",
            "2 out-of-space, 1 too-large",
        ),
        (overview(node(0), storage=[storage(database_failures=2)]), "Database", "ok", "2 requests failed"),
        (
            overview(node(0), storage=[storage(collector_backlog=2, collector_oldest=4000.0)]),
            "Removals",
            "warn",
            "2 deleted objects not removed yet",
        ),
        (overview(node(0), pool=None, pool_error="gone"), "Autoscaler", "bad", "gone"),
        (
            overview(node(0), config={"mode": "auto"}, decision={"action": "error", "reason": "x"}),
            "Autoscaler",
            "warn",
            "decision failed",
        ),
        (overview(node(0), node(1, state="dead")), "Nodes", "bad", "1 of 2 serving; node 1 failed"),
        (overview(node(0), node(1, state="absent")), "Nodes", "warn", "node 1 starting"),
        (overview(node(0), node(1, state="starting"), pool={"busy": True}), "Nodes", "busy", "node 1 starting"),
        (overview(node(0), node(1, stats=None)), "Nodes", "warn", "no statistics from node 1"),
        (overview(node(0), pool={"phase": "open"}), "Nodes", "busy", "resizing"),
        (overview(node(0), rate={"sources": []}), "Cache", "warn", "No metrics from node 0"),
        (overview(node(0), rate={"miss_rate": 0.6}), "Cache", "warn", "40.0 %"),
        (overview(node(0), rate={"miss_rate": 0.6, "requests": 5}), "Cache", "ok", "40.0 %"),
        (overview(node(0), rate={"miss_rate": None}), "Cache", "ok", "No requests"),
    ],
)
def test_what_is_not_well(seen: Overview, part: str, level: str, words: str) -> None:
    (found,) = [one for one in assess(seen, NOW) if one.name == part]
    assert found.level == level
    assert words in found.words
    assert found.advice or level in ("ok", "busy")


def test_without_the_autoscaler_nodes_are_not_known() -> None:
    seen = overview(node(0), pool=None, rate=None, config=None)
    assert (levels(seen)["Nodes"], levels(seen)["Cache"]) == ("unknown", "unknown")


def test_a_node_that_has_just_started_may_be_silent() -> None:
    assert levels(overview(node(0, started_at=NOW - 5), rate={"sources": []}))["Cache"] == "ok"


# Events and decisions in plain words.


def event(number: int, kind: str, slot: int | None = None, **fields: Any) -> Any:
    rest: dict[str, Any] = {
        "epoch": None,
        "message": "x",
        "incarnation": None,
        "cause": None,
        "reason": "",
        "changes": {},
    }
    return {"id": number, "at": NOW + number, "kind": kind, "slot": slot} | rest | fields


def test_the_end_of_a_node_is_a_fault_unless_it_was_told_to_stop() -> None:
    told = shown_events(
        [
            event(6, "node-died", 1),
            event(5, "node-launched", 1),
            event(4, "node-dead", 1, cause="process-gone"),
            event(3, "node-died", 1),
            event(2, "node-stopping", 1),
            event(1, "node-died", 0),
        ]
    )
    assert [(one.id, one.is_fault) for one in told] == [
        (6, True),
        (5, False),
        (3, False),
        (2, False),
        (1, True),
    ]
    assert told[2].title == "Node 1 has stopped"
    # What is found dead at a start ended with the system, as far as anybody knows.
    (left,) = shown_events([event(1, "node-dead", 1, cause="process-gone")])
    assert (left.title, left.is_fault, left.detail) == ("Node 1 is gone", False, "")


def test_details_say_what_the_title_does_not() -> None:
    told = shown_events(
        [
            event(6, "unheard-of", None, reason="A message"),
            event(5, "config-changed", cause="by-policy", reason="Too many misses.", changes=changed(num_nodes=4)),
            event(4, "config-changed", cause="by-hand", changes=changed(num_nodes=4, max_miss=0.25, cache_mb=9)),
            event(3, "open", reason="The wanted size is 4."),
            event(2, "node-fenced", 2),
            event(1, "config-changed", reason="The settings were changed: num_nodes = 4"),
        ]
    )
    assert [(one.title, one.detail) for one in told] == [
        ("Unheard of", "A message"),
        ("Automatic mode changed the size", "Too many misses."),
        (
            "The settings were changed",
            "Number of nodes: 1 → 4; Maximum miss rate: 30.0 % → 25.0 %; Capacity: 64 MB → 9 MB",
        ),
        ("A resize began", "The wanted size is 4."),
        ("Node 2 is not responding", "It is fenced: no reads go to it."),
        ("The settings were changed", "The settings were changed: num_nodes = 4"),
    ]


def changed(**after: Any) -> dict[str, Any]:
    before: dict[str, Any] = {**ScalingConfig().to_json()}
    return {name: {"before": before[name], "after": value} for name, value in after.items()}


def decision(action: str, before: int, after: int) -> Any:
    return {"action": action, "nodes_before": before, "nodes_after": after}


def test_decisions_that_keep_the_size_stand_together() -> None:
    found = grouped(
        [
            decision("hold", 2, 2),
            decision("hold", 2, 2),
            decision("grow", 1, 2),
            decision("hold", 1, 1),
            decision("error", 1, 1),
            decision("shrink", 2, 1),
        ]
    )
    assert [(one.title, len(one.decisions)) for one in found] == [
        ("Kept 2 nodes", 2),
        ("Grew from 1 to 2 nodes", 1),
        ("Kept 1 node", 1),
        ("Could not decide", 1),
        ("Shrank from 2 to 1 node", 1),
    ]


# The ring.


def drawn(pool: Any) -> ElementTree.Element:
    return ElementTree.fromstring(str(ring(pool)))  # noqa: S314 - our own picture


def owners(picture: ElementTree.Element, kind: str) -> list[int]:
    found = [one.get("class", "") for one in picture.iter("path") if kind in one.get("class", "")]
    return [int(css.rpartition("-")[2]) for css in found]


def test_the_ring_shows_each_partition_in_its_nodes_colour() -> None:
    settled = first_map(THREE)
    picture = drawn({"map": settled.to_json(), "phase": "settled"})
    assert owners(picture, "ring-sector") == list(THREE)
    assert owners(picture, "ring-rim") == []
    texts = [text.text for text in picture.iter("text")]
    assert [text for text in texts if text and text.isdigit()] == [str(number) for number in range(1, 17)]
    assert {"3 nodes", "epoch 1", "settled"} <= set(texts)


def test_the_ring_shows_the_previous_owners_during_a_resize() -> None:
    opened = open_resize(first_map(THREE), FOUR)
    picture = drawn({"map": opened.to_json(), "phase": "open"})
    moved = [before for before, after in zip(THREE, FOUR, strict=True) if before != after]
    assert owners(picture, "ring-sector") == list(FOUR)
    assert owners(picture, "ring-rim") == moved
    assert f"{len(moved)} of them moving" in picture.get("aria-label", "")
    closing = drawn({"map": close_resize(opened).to_json(), "phase": "closing"})
    dropping = [one for one in closing.iter("path") if "ring-dropping" in one.get("class", "")]
    assert len(dropping) == len(moved)


@pytest.mark.parametrize("pool", [None, {"map": None, "phase": "new"}])
def test_the_ring_without_a_map_is_empty(pool: Any) -> None:
    assert len(list(drawn(pool).iter("path"))) == 16
    assert "no map" in str(ring(pool))


def test_the_ring_escapes_what_it_is_told() -> None:
    pool: Any = {"map": first_map(THREE).to_json(), "phase": "<script>"}
    assert "<script" not in str(ring(pool))


# Sizes, and settings in plain words.


def test_sizes_know_what_each_would_move() -> None:
    moves = {"alternating": {str(nodes): nodes for nodes in range(1, 9)}, "minimal": {"1": 9}}
    pool: Any = {"assignment": "alternating", "moves": moves}
    assert [size.moves for size in sizes(pool)] == list(range(1, 9))
    assert sizes(pool | {"assignment": "minimal"})[0].moves == 9
    assert [size.moves for size in sizes(None)] == [None] * 8


def test_every_setting_has_a_label() -> None:
    assert LABELS.keys() == ScalingConfig().to_json().keys()


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({}, set()),
        ({"max_miss": "0.5"}, set()),
        ({"max_miss": "1.5", "expand_ratio": "1", "shrink_ratio": "x"}, {"max_miss", "expand_ratio", "shrink_ratio"}),
        ({"min_miss": "0.9"}, {"min_miss"}),
        ({"min_miss": "0.9", "max_miss": "0.95"}, set()),
        ({"max_miss": "0.01"}, {"max_miss"}),
        ({"max_miss": "0.01", "min_miss": "0.05"}, {"min_miss"}),
        ({"cache_mb": "0"}, {"cache_mb"}),
        ({"mode": "sometimes"}, {"mode"}),
        ({"unknown": "1"}, set()),
    ],
)
def test_each_mistake_is_found(typed: dict[str, str], wrong: set[str]) -> None:
    found = problems(ScalingConfig(), typed)
    assert found.keys() == wrong
    # In words for people, not by the names of the code.
    assert not [words for words in found.values() if re.search(r"_", words)]


def test_the_explanation_is_what_the_policy_does() -> None:
    told = explanation(ScalingConfig(mode="auto", num_nodes=3))
    assert told[1:] == [
        "Above 30.0 % the pool grows: from 3 nodes to 6.",
        "Below 5.0 % it shrinks: from 3 nodes to 1.",
        "From 5.0 % to 30.0 %, and without requests, it keeps its size.",
    ]
    most = explanation(ScalingConfig(num_nodes=8))
    assert most[0].startswith("Manual mode")
    assert most[1] == "Above 30.0 % the pool would grow, but 8 is the most it may have."
    least = explanation(ScalingConfig(mode="auto", num_nodes=1))
    assert least[2] == "Below 5.0 % it shrinks, but 1 is the least it may have."
    never = explanation(ScalingConfig(mode="auto", max_miss=1.0, min_miss=0.0))
    assert "never grows" in never[1]
    assert "never shrinks" in never[2]


# Charts.


class Records:
    """An autoscaler whose minute changes between two questions."""

    def __init__(self) -> None:
        self.late = False

    def metrics(self, name: str, minutes: int = 60) -> dict[str, Any]:
        begin = NOW + (60 if name == "bytes" else 0)
        values = {"requests": 50, "nodes": 0}.get(name, 0.5)
        return {"step_seconds": 60, "points": [[begin + 60 * minute, values] for minute in range(minutes)]}

    def resizes(self, _limit: int) -> list[dict[str, Any]]:
        return [
            {"started_at": NOW + 130, "from": [0], "to": [0, 1], "outcome": "done", "wanted": 2},
            {"started_at": NOW + 70, "from": [0, 1], "to": [0], "outcome": "aborted", "wanted": 1},
            {"started_at": NOW + 65, "from": [], "to": [0], "outcome": "done", "wanted": 1},
            {"started_at": NOW - 900, "from": [0], "to": [0, 1], "outcome": "done", "wanted": 2},
        ]

    def events(self, _limit: int) -> list[dict[str, Any]]:
        return [event(100, "node-died", 1), event(90, "node-ready", 1)]


def test_charts_are_over_the_same_times_and_show_gaps_and_marks() -> None:
    found = figures(Records(), 3)  # type: ignore[arg-type]  # what is asked of it, it has
    assert found.times == (NOW + 60, NOW + 120, NOW + 180)
    assert found.series["bytes"] == (0.5, 0.5, 0.5)
    assert found.series["hit_rate"] == (0.5, 0.5, None)
    assert found.series["requests"] == (50, 50, None)
    assert found.series["nodes"][-1] is None
    assert [(mark.at - NOW, mark.kind) for mark in found.marks] == [(70, "resize"), (100, "fault"), (130, "resize")]


# Flash messages.


def test_a_flash_message_is_taken_once_and_by_its_owner() -> None:
    messages = FlashMessages()
    name = messages.leave("ann", FlashMessage("done", secret="x"))
    assert messages.take("bob", name) is None
    assert messages.take("ann", "other") is None
    taken = messages.take("ann", name)
    assert taken is not None
    assert taken.words == "done"
    assert messages.take("ann", name) is None
    assert "x" not in repr(FlashMessage(secret="x"))


def test_flash_messages_expire() -> None:
    now = [0.0]
    messages = FlashMessages(clock=lambda: now[0])
    old = messages.leave("ann", FlashMessage("old"))
    now[0] = 601
    assert messages.take("ann", old) is None
    first = messages.leave("ann", FlashMessage("first"))
    for _ in range(500):
        messages.leave("ann", FlashMessage("more"))
    assert messages.take("ann", first) is None


def test_one_of_many_takers_gets_the_message() -> None:
    messages = FlashMessages()
    name = messages.leave("ann", FlashMessage("one"))
    taken: list[FlashMessage | None] = []
    takers = [threading.Thread(target=lambda: taken.append(messages.take("ann", name))) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len([message for message in taken if message is not None]) == 1
