"""What each app shows on `/metrics`: every figure of the table, somewhere, and true."""

from __future__ import annotations

import signal
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families
from testing.photographs import Photograph
from testing.system import System
from testing.waiting import wait_for
from tests.system.conftest import StartSystem

from elastic_images.metrics.definitions import DEFINITIONS

APPS = ("web", "storage", "autoscaler", "manager", "memcache")


def figures(system: System, app: str) -> dict[str, float]:
    """What the app shows now, by the names of `definitions`; summed over labels."""
    answer = system.client(app=app).request("GET", "/metrics")
    assert answer.status == 200
    shown: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            shown[sample.name] += sample.value
    return {name: shown[one.exposed] for name, one in DEFINITIONS.items() if one.exposed in shown}


def test_every_figure_is_shown_and_storage_counts_what_it_does(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    system = start_system(nodes=1)
    own = {name for name, text in DEFINITIONS.items() if "storage" in text.family}
    assert own <= set(figures(system, "storage")), "counted from the start, not from the first time"
    admin = system.admin()
    for key, photograph in enumerate(few[:3]):
        assert admin.put(str(key), photograph.body).status == 201
    assert admin.put("0", few[0].body).status == 200
    assert admin.put("text", b"no image").status == 415
    assert [admin.get("1").status for _ in range(4)] == [200] * 4
    assert admin.delete("2").status == 204
    found = figures(system, "storage")
    # Imaging's are by outcome, so that there must have been one.
    wait_for(lambda: set().union(*(figures(system, app) for app in APPS)) == set(DEFINITIONS), "every figure is shown")
    assert {name: found[name] for name in ("uploads", "refused_uploads", "deletes", "reads")} == {
        "uploads": 4,
        "refused_uploads": 1,
        "deletes": 1,
        "reads": 1,
    }
    assert found["upload_bytes"] == sum(len(photograph.body) for photograph in (*few[:3], few[0]))
    assert admin.course("delete_all")["success"] == "true"
    assert figures(system, "storage")["deletes"] == 3


def test_who_does_not_answer_an_invalidation_is_counted(start_system: StartSystem, few: tuple[Photograph, ...]) -> None:
    system = start_system(nodes=1, near_cache_mb=0, hang_seconds=0)
    assert figures(system, "storage")["fences"] == 0
    # The autoscaler would fence it, too, and only one of them does. It is not replaced meanwhile.
    (autoscaler,) = system.find("autoscaler")
    autoscaler.send_signal(signal.SIGSTOP)
    node = system.node(0)
    node.suspend()
    try:
        assert system.admin().put("k", few[0].body).status == 201
        wait_for(lambda: figures(system, "storage")["fences"] == 1, "one fence is counted")
    finally:
        node.resume()
        autoscaler.send_signal(signal.SIGCONT)
