"""`pool`: the cache nodes, through the manager's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import manager_options
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, print_json, print_table
from elastic_images.core.assignment import ASSIGNMENTS, MAX_NODES, MIN_NODES
from elastic_images.core.pool_config import CACHE_POLICIES

if TYPE_CHECKING:
    from elastic_images.client.api import Api


@click.group()
def pool() -> None:
    """Show and change the pool of cache nodes."""


@pool.command()
@json_option
@manager_options
def status(as_json: bool, api: Api) -> None:
    """Show the pool: its mode, its size, and each node with its partitions (1 to 16).

    JSON: the response of GET /api/pool.
    """
    found = api.get("/api/pool")
    if as_json:
        print_json(found)
        return
    resize = "a resize is in progress" if found.get("resize") else "no resize in progress"
    epoch = found["map"]["epoch"] if found["map"] else "none yet"
    click.echo(f"{found['mode']} mode, {found['wanted']} wanted, epoch {epoch}, {resize}")
    print_table(
        ("NODE", "STATE", "ADDRESS", "PARTITIONS", "IMAGES", "BYTES", "HITS", "MISSES"),
        [_node_row(node) for node in found["nodes"]],
    )


@pool.command()
@click.argument("n", type=click.IntRange(MIN_NODES, MAX_NODES))
@json_option
@manager_options
def scale(n: int, as_json: bool, api: Api) -> None:
    """Request a pool of N nodes, 1 to 8. Returns at once; the resize follows. A newer request replaces this one.

    In automatic mode, the scaling policy continues from there; `pool mode manual` keeps the size.

    JSON: the new configuration.
    """
    _print_config(api.json("PATCH", "/api/config", {"num_nodes": n}), as_json)


@pool.command()
@click.argument("mode", type=click.Choice(["auto", "manual"]))
@json_option
@manager_options
def mode(mode: str, as_json: bool, api: Api) -> None:
    """Choose who sets the pool's size: the scaling policy (auto) or you (manual).

    JSON: the new configuration.
    """
    _print_config(api.json("PATCH", "/api/config", {"mode": mode}), as_json)


@pool.command()
@click.option("--cache-mb", type=int, help="Capacity of each node, in megabytes.")
@click.option("--policy", type=click.Choice(CACHE_POLICIES), help="Eviction policy; RR is random replacement.")
@click.option("--expand-ratio", type=float, help="Multiplies the size when the miss rate is too high; above 1.")
@click.option("--shrink-ratio", type=float, help="Multiplies the size when the miss rate is low; below 1.")
@click.option("--max-miss", type=float, help="Miss rate, 0 to 1, above which the pool grows.")
@click.option("--min-miss", type=float, help="Miss rate, 0 to 1, below which the pool shrinks.")
@click.option("--assignment", type=click.Choice(ASSIGNMENTS), help="How partitions are assigned to nodes.")
@json_option
@manager_options
def config(as_json: bool, api: Api, **given: Any) -> None:
    """Show the pool's configuration. Options change it, all of them or none.

    Alternating: partition i belongs to node i mod N. Minimal: a resize moves as few partitions as possible.

    JSON: the resulting configuration.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    _print_config(api.json("PATCH", "/api/config", changes) if changes else api.get("/api/config"), as_json)


def _print_config(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name.replace('_', '-'):<14}{value}")


def _node_row(node: dict[str, Any]) -> tuple[Any, ...]:
    stats = node.get("stats") or {}
    held = stats.get("bytes")
    return (
        node["slot"],
        node["state"],
        node["address"],
        " ".join(map(str, node["partitions"])),
        stats.get("items"),
        None if held is None else amount(held),
        stats.get("hits"),
        stats.get("misses"),
    )
