"""The pool as one document, for `GET /internal/pool`."""

from __future__ import annotations

from collections.abc import Mapping

from elastic_images.autoscaler.resizer import ResizerStatus
from elastic_images.core.assignment import ASSIGNMENTS, MAX_NODES, MIN_NODES, assign, moves
from elastic_images.core.partitions import shown_partition
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.pool_document import NodeDocument, NodeStatistics, PoolDocument, ResizeRecord
from elastic_images.core.pool_map import PoolMap
from elastic_images.pool.view import Member, PoolView, node_id

Stats = Mapping[str, NodeStatistics | None]
"""By incarnation."""


def newest_members(view: PoolView) -> dict[int, Member]:
    """For each slot its live member, or else the newest."""
    found: dict[int, Member] = {}
    for member in view.members:
        if member.slot is not None:
            found[member.slot] = view.live_node(member.slot) or member
    return found


def pool_document(
    view: PoolView,
    config: ScalingConfig,
    status: ResizerStatus,
    resize: ResizeRecord | None,
    stats: Stats,
) -> PoolDocument:
    """The document, as plain JSON values."""
    members = newest_members(view)
    in_map = view.map.slots if view.map else frozenset()
    slots = sorted(set(members) | status.running | in_map | set(range(config.num_nodes)))
    return {
        "map": view.map.to_json() if view.map else None,
        "wanted": config.num_nodes,
        "mode": config.mode,
        "phase": view.map.phase if view.map else "new",
        "busy": status.busy,
        "nodes": [_node(slot, members.get(slot), view.map, status, stats) for slot in slots],
        "resize": resize,
        "assignment": config.assignment,
        "moves": partition_moves(view.map) if view.map else None,
    }


def partition_moves(pool_map: PoolMap) -> dict[str, dict[str, int]]:
    """How many partitions a resize would move: by the name of the assignment, and by the size ("1" to "8")."""
    owners = pool_map.assignment
    return {
        name: {str(nodes): moves(owners, assign(name, owners, nodes)) for nodes in range(MIN_NODES, MAX_NODES + 1)}
        for name in ASSIGNMENTS
    }


def _node(
    slot: int, member: Member | None, pool_map: PoolMap | None, status: ResizerStatus, stats: Stats
) -> NodeDocument:
    owned = pool_map.assignment if pool_map else ()
    return {
        "slot": slot,
        "id": node_id(slot),
        "state": _state(slot, member, status),
        "address": member.data_address if member else None,
        "control_address": member.address if member else None,
        "incarnation": member.incarnation if member else None,
        "partitions": [shown_partition(number) for number, owner in enumerate(owned) if owner == slot],
        "epoch": member.epoch if member else None,
        "started_at": member.registered_at if member else None,
        "stats": stats.get(member.incarnation) if member else None,
    }


def _state(slot: int, member: Member | None, status: ResizerStatus) -> str:
    """`live`, `fenced`, `stopping`, `starting` (a process that has not registered), or `absent`."""
    if slot in status.stopping:
        return "stopping"
    if member is not None:
        return member.state
    return "starting" if slot in status.running else "absent"
