from __future__ import annotations

from elastic_images.autoscaler.resizer import ResizerStatus
from elastic_images.autoscaler.status import partition_moves, pool_document
from elastic_images.core.assignment import alternating, minimal
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.pool_map import first_map
from elastic_images.pool.view import PoolView


def test_what_each_assignment_would_move_is_told_by_size() -> None:
    told = partition_moves(first_map(alternating(4)))
    assert told["alternating"]["5"] == 12
    assert told["minimal"]["5"] == 3
    assert {name: (len(sizes), sizes["4"]) for name, sizes in told.items()} == {
        "alternating": (8, 0),
        "minimal": (8, 0),
    }


def test_it_follows_the_map_not_the_size() -> None:
    grown = first_map(minimal(alternating(4), 5))
    told = partition_moves(grown)
    assert told["minimal"]["5"] == 0
    assert told["alternating"]["5"] > 0


def test_the_document_has_both_and_a_new_pool_moves_nothing() -> None:
    config = ScalingConfig(assignment="minimal")
    document = pool_document(PoolView(), config, ResizerStatus(), None, {})
    assert (document["assignment"], document["moves"]) == ("minimal", None)
