"""The ring of partitions as SVG. Colours are the style sheet's, so the same picture serves light and dark. Pure."""

from __future__ import annotations

import math
from html import escape

from markupsafe import Markup

from elastic_images.core.partitions import PARTITIONS, shown_partition
from elastic_images.core.pool_document import MapDocument, PartitionDocument, PoolDocument

_SIZE = 320
_CENTRE = _SIZE / 2
_OUTER, _INNER = 132.0, 74.0
_RIM_OUTER, _RIM_INNER = 148.0, 137.0
_NUMBER_RADIUS, _NODE_RADIUS = 115.0, 91.0
_PHASES = {"settled": "settled", "open": "moving", "closing": "closing", "new": "new"}


def ring(pool: PoolDocument | None) -> Markup:
    """The picture: 16 numbered sectors in their nodes' colours; during a resize a rim in the previous owner's colour.

    Without a map it is an empty ring.
    """
    pool_map = pool["map"] if pool else None
    partitions = pool_map["partitions"] if pool_map else []
    parts = []
    for number in range(PARTITIONS):
        parts += _partition(number, partitions[number]) if partitions else [_path(number, _OUTER, _INNER, "ring-none")]
    parts += _middle(pool_map, pool["phase"] if pool else "")
    return Markup(  # noqa: S704 - made of numbers, and of texts that were escaped
        f'<svg class="ring" viewBox="0 0 {_SIZE} {_SIZE}" role="img" aria-label="{escape(_words(partitions))}">'
        f"{''.join(parts)}</svg>"
    )


def _partition(number: int, state: PartitionDocument) -> list[str]:
    owner, previous = int(state["owner"]), state["previous"]
    tip = f"Partition {shown_partition(number)}: node {owner}"
    drawn = []
    if previous is not None:
        tip += f", moving from node {int(previous)}"
        drawn.append(_path(number, _RIM_OUTER, _RIM_INNER, f"ring-rim node-{int(previous)}"))
    elif len(state["copies"]) > 1:
        tip += ", others are dropping it"
        drawn.append(_path(number, _RIM_OUTER, _RIM_INNER, "ring-rim ring-dropping"))
    drawn.append(_path(number, _OUTER, _INNER, f"ring-sector node-{owner}", tip))
    drawn.append(_text(number, _NUMBER_RADIUS, str(shown_partition(number)), "ring-number"))
    drawn.append(_text(number, _NODE_RADIUS, f"n{owner}", "ring-node"))
    return drawn


def _middle(pool_map: MapDocument | None, phase: str) -> list[str]:
    if pool_map is None:
        return [f'<text class="ring-phase" x="{_CENTRE:.0f}" y="{_CENTRE + 5:.0f}">no map</text>']
    phase = _PHASES.get(phase, phase)
    owners = {state["owner"] for state in pool_map["partitions"]}
    nodes = "1 node" if len(owners) == 1 else f"{len(owners)} nodes"
    return [
        f'<text class="ring-nodes" x="{_CENTRE:.0f}" y="{_CENTRE - 10:.0f}">{nodes}</text>',
        f'<text class="ring-phase" x="{_CENTRE:.0f}" y="{_CENTRE + 14:.0f}">epoch {int(pool_map["epoch"])}</text>',
        f'<text class="ring-phase" x="{_CENTRE:.0f}" y="{_CENTRE + 33:.0f}">{escape(phase)}</text>',
    ]


def _words(partitions: list[PartitionDocument]) -> str:
    if not partitions:
        return "The ring of 16 partitions; there is no pool map."
    moving = sum(state["previous"] is not None for state in partitions)
    owners = {state["owner"] for state in partitions}
    words = f"The ring of 16 partitions on {len(owners)} node{'' if len(owners) == 1 else 's'}"
    return f"{words}, {moving} of them moving." if moving else f"{words}."


def _at(radius: float, turn: float) -> tuple[float, float]:
    """The point at `turn` (0 to 1, clockwise from the top)."""
    angle = 2 * math.pi * turn - math.pi / 2
    return _CENTRE + radius * math.cos(angle), _CENTRE + radius * math.sin(angle)


def _path(number: int, outer: float, inner: float, css: str, tip: str = "") -> str:
    begin, end = number / PARTITIONS, (number + 1) / PARTITIONS
    (ax, ay), (bx, by) = _at(outer, begin), _at(outer, end)
    (cx, cy), (dx, dy) = _at(inner, end), _at(inner, begin)
    shape = (
        f"M{ax:.2f} {ay:.2f}A{outer} {outer} 0 0 1 {bx:.2f} {by:.2f}"
        f"L{cx:.2f} {cy:.2f}A{inner} {inner} 0 0 0 {dx:.2f} {dy:.2f}Z"
    )
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<path class="{css}" d="{shape}">{title}</path>'


def _text(number: int, radius: float, words: str, css: str) -> str:
    x, y = _at(radius, (number + 0.5) / PARTITIONS)
    return f'<text class="{css}" x="{x:.1f}" y="{y + 5:.1f}">{escape(words)}</text>'
