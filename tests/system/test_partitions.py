"""Where keys live: seen by `pool status`, by the image's metadata and by the node that answers."""

from __future__ import annotations

import pytest
from testing.photographs import Photograph
from testing.system import System


@pytest.mark.parametrize(("nodes", "of_k1", "of_k2"), [(1, 0, 0), (2, 1, 0), (4, 3, 2)])
def test_partition_i_is_on_node_i_mod_n(
    system: System, few: tuple[Photograph, ...], nodes: int, of_k1: int, of_k2: int
) -> None:
    admin = system.admin()
    for key in ("k1", "k2"):
        assert admin.put(key, few[0].body).status in (200, 201)
    system.scale(nodes)
    for key, partition, node in (("k1", 12, of_k1), ("k2", 7, of_k2)):
        metadata = admin.metadata(key).json
        assert (metadata["partition"], metadata["node"]) == (partition, node)
    status = system.cli_json("pool", "status")
    dealt = {node["slot"]: sorted(node["partitions"]) for node in status["nodes"]}
    assert dealt == {slot: [number for number in range(1, 17) if (number - 1) % nodes == slot] for slot in range(nodes)}
    for_people = system.cli("pool", "status").stdout
    assert "12" in for_people
    assert "auto" in for_people or "manual" in for_people


def test_the_owner_answers(system: System, few: tuple[Photograph, ...]) -> None:
    system.scale(2)
    admin = system.admin()
    for photograph in few[:12]:
        assert admin.put(photograph.name, photograph.body).status in (200, 201)
        node = admin.metadata(photograph.name).json["node"]
        answer = system.client().get(photograph.name)
        assert answer.cache in ("MISS", "HIT")
        assert answer.headers["X-Cache-Node"] == str(node)
