"""The autoscaler with real nodes: processes that start, resize, hang, die and are adopted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.system import free_offset
from testing.waiting import wait_for
from tests.apps.autoscaler_support import Autoscaler, autoscaler

from elastic_images.core.assignment import alternating
from elastic_images.pool.life_lock import holder, node_lock_path


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Autoscaler]:
    with free_offset() as offset, autoscaler(tmp_path, port_offset=offset, nodes=2) as made:
        made.start()
        made.wait_settled_on(0, 1)
        yield made
    assert not any(pid(tmp_path, slot) for slot in range(8)), "nodes end with their lifeline"


def pid(data: Path, slot: int) -> int | None:
    return holder(node_lock_path(data, slot))


def assignment(pool: Autoscaler) -> tuple[int, ...]:
    pool_map = pool.client.pool()["map"]
    assert pool_map is not None
    return tuple(partition["owner"] for partition in pool_map["partitions"])


def epoch(pool: Autoscaler) -> int:
    pool_map = pool.client.pool()["map"]
    assert pool_map is not None
    return pool_map["epoch"]


def test_the_pool_is_resized_by_hand(pool: Autoscaler) -> None:
    assert pool.client.update_config({"num_nodes": 3})["num_nodes"] == 3
    pool.wait_settled_on(0, 1, 2)
    assert assignment(pool) == alternating(3)
    nodes = pool.client.pool()["nodes"]
    assert [node["partitions"] for node in nodes] == [[1, 4, 7, 10, 13, 16], [2, 5, 8, 11, 14], [3, 6, 9, 12, 15]]
    assert all(node["stats"] and node["stats"]["incarnation"] == node["incarnation"] for node in nodes)
    newest = pool.client.resizes(1)[0]
    assert (newest["from"], newest["to"], newest["outcome"]) == ([0, 1], [0, 1, 2], "done")
    for size in (4, 1, 3, 2):
        pool.client.update_config({"num_nodes": size})
    pool.wait_settled_on(0, 1)
    assert assignment(pool) == alternating(2)
    assert pid(pool.settings.data, 2) is None


def test_a_killed_node_comes_back(pool: Autoscaler) -> None:
    before = pid(pool.settings.data, 1)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: pid(pool.settings.data, 1) not in (None, before), "node 1 is back")
    pool.wait_settled_on(0, 1)
    assert assignment(pool) == alternating(2)
    assert any("node 1 died" in row["reason"] for row in pool.client.resizes(5))


def test_a_restarted_autoscaler_adopts_its_nodes_and_goes_on_with_a_resize(pool: Autoscaler) -> None:
    before = [pid(pool.settings.data, slot) for slot in (0, 1)]
    kept = epoch(pool)
    pool.stop()
    pool.start()
    pool.wait_settled_on(0, 1)
    assert [pid(pool.settings.data, slot) for slot in (0, 1)] == before
    assert epoch(pool) == kept
    pool.client.update_config({"num_nodes": 1})
    pool.wait_settled_on(0)
    assert pid(pool.settings.data, 1) is None, "an adopted node can be stopped"
    pool.client.update_config({"num_nodes": 4})
    wait_for(lambda: pool.client.pool()["nodes"][-1]["state"] != "absent", "a resize is under way")
    pool.stop()
    pool.start()
    pool.wait_settled_on(0, 1, 2, 3)
    assert assignment(pool) == alternating(4)


def test_a_hung_node_does_not_block_a_resize_and_is_replaced(pool: Autoscaler) -> None:
    before = pid(pool.settings.data, 1)
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    pool.client.update_config({"num_nodes": 3})
    wait_for(lambda: pid(pool.settings.data, 1) not in (None, before), "the hung node is replaced")
    pool.wait_settled_on(0, 1, 2)
    assert assignment(pool) == alternating(3)
    kinds = {event["kind"] for event in pool.client.events(100)}
    assert {"node-fenced", "node-dead", "node-killed"} <= kinds
