"""Automatic mode: grows under a working set that outgrows one node, shrinks when it narrows, rests when idle."""

from __future__ import annotations

from typing import Any

from testing.photographs import photographs
from testing.reading import readers
from testing.system import System
from testing.waiting import wait_for
from tests.system.conftest import StartSystem

from elastic_images.core.pool_document import DecisionRecord
from elastic_images.settings.definitions import BY_NAME


def changes(system: System) -> list[dict[str, Any]]:
    """The decisions that changed the pool's size, oldest first."""
    return [one for one in reversed(system.autoscaler().decisions(200)) if one["action"] != "hold"]


def test_automatic_mode_follows_the_working_set(start_system: StartSystem) -> None:
    short = {"scaling_interval_seconds": 6} if "scaling_interval_seconds" in BY_NAME else {}
    # No near cache, which would hide the repeated reads of so few images from the nodes.
    system = start_system(nodes=1, cache_mb=1, near_cache_mb=0, **short)
    wide = photographs(80, seed=3)
    assert sum(len(photograph.body) for photograph in wide) > 2_000_000
    for photograph in wide:
        assert system.admin().put(photograph.name, photograph.body).status == 201
    answer = system.admin().course("configure_cache", mode="auto", maxMiss="0.4", minMiss="0.1", expRatio="2")
    assert (answer["success"], answer["mode"]) == ("true", "auto")
    with readers(system.client(), wide, threads=2) as seen:
        wait_for(lambda: system.pool()["wanted"] >= 2, "the pool grows", seconds=200, every=0.5)
        system.wait_settled()
    assert not seen.failures
    grown = changes(system)[0]
    assert (grown["action"], grown["nodes_before"], grown["nodes_after"]) == ("grow", 1, 2)
    assert "above the maximum" in grown["reason"]
    assert grown["inputs"]["miss_rate"] > 0.4

    with readers(system.client(), wide[:3], threads=2) as seen:
        wait_for(lambda: system.pool()["wanted"] == 1, "the pool shrinks", seconds=300, every=0.5)
        system.wait_settled(1)
    assert not seen.failures
    shrunk = changes(system)[-1]
    assert (shrunk["action"], shrunk["nodes_after"]) == ("shrink", 1)
    assert "below the minimum" in shrunk["reason"]

    # Idle: decisions are taken, each says why nothing is done, and the pool stays as it is.
    done = len(changes(system))
    idle = wait_for(lambda: idle_decisions(system), "decisions without requests", seconds=300, every=0.5)
    assert {one["action"] for one in idle} == {"hold"}
    assert len(changes(system)) == done
    assert system.pool()["wanted"] == 1


def idle_decisions(system: System) -> list[DecisionRecord]:
    """The newest decisions, once two of them saw no request."""
    newest = system.autoscaler().decisions(2)
    return newest if all("no requests" in one["reason"].lower() for one in newest) and len(newest) == 2 else []
