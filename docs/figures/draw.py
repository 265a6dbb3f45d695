"""Draw the figures of the documentation as SVG: `python docs/figures/draw.py` writes them next to this file.

The output is reproducible. Each figure has its own background, and dark colours for readers whose system is dark, so it
is readable on any page.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path

from elastic_images.core.assignment import alternating
from elastic_images.core.partitions import PARTITIONS, partition_of, shown_partition

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
NODE_COLOURS = ("#8cc4ea", "#f4bd59", "#79cfab", "#e3a8cb")
"""One per node: light enough for dark text, and distinct for colour-blind readers too."""

STYLE = """
  text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #1c2733 }
  .card { fill: #ffffff; stroke: #d5dce3 }
  .faint { fill: #55636f }
  .inside { fill: #14202b }
  .sector { stroke: #ffffff; stroke-width: 2 }
  .box { fill: #eef3f8; stroke: #8496a6; stroke-width: 1.5 }
  .store { fill: #fbf3e0; stroke: #b99c5a; stroke-width: 1.5 }
  .line { stroke: #55636f; stroke-width: 1.6; fill: none }
  .head { fill: #55636f }
  .mark { fill: #c0392b } .markline { stroke: #c0392b; stroke-width: 2 }
  .label { fill: #33414d; paint-order: stroke; stroke: #ffffff; stroke-width: 5; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .card { fill: #11181f; stroke: #303b45 }
    .faint { fill: #a7b4c0 }
    .inside { fill: #14202b }
    .sector { stroke: #11181f }
    .box { fill: #1d2a36; stroke: #6c8296 }
    .store { fill: #332b18; stroke: #a88d4f }
    .line { stroke: #9aa9b6 }
    .head { fill: #9aa9b6 }
    .mark { fill: #ff8f80 } .markline { stroke: #ff8f80 }
    .label { fill: #cbd6df; stroke: #11181f }
  }
"""


def text(x: float, y: float, words: str, *, size: int = 14, css: str = "", anchor: str = "middle") -> str:
    """One line of text, in bold if `css` contains the word `bold`."""
    weight = ' font-weight="600"' if "bold" in css else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" class="{css}"{weight}>'
        f"{escape(words)}</text>"
    )


def svg(width: int, height: int, title: str, description: str, parts: list[str]) -> str:
    """A complete picture, on its own card."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title description">\n'
        f'<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="12"/>\n{body}\n</svg>\n'
    )


# ---- The rings ------------------------------------------------------------------------------------------------------

OUTER, INNER = 132.0, 70.0


def _at(centre: tuple[float, float], radius: float, turn: float) -> tuple[float, float]:
    """The point at `turn` (0 to 1, clockwise from the top)."""
    angle = 2 * math.pi * turn - math.pi / 2
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def _sector(centre: tuple[float, float], partition: int, node: int) -> list[str]:
    begin, middle, end = (partition + part for part in (0, 0.5, 1))
    corners = [
        _at(centre, radius, turn / PARTITIONS)
        for radius, turn in ((OUTER, begin), (OUTER, end), (INNER, end), (INNER, begin))
    ]
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    path = (
        f"M{ax:.2f} {ay:.2f} A{OUTER} {OUTER} 0 0 1 {bx:.2f} {by:.2f} "
        f"L{cx:.2f} {cy:.2f} A{INNER} {INNER} 0 0 0 {dx:.2f} {dy:.2f} Z"
    )
    number_x, number_y = _at(centre, 114, middle / PARTITIONS)
    node_x, node_y = _at(centre, 87, middle / PARTITIONS)
    return [
        f'<path class="sector" d="{path}" fill="{NODE_COLOURS[node]}"/>',
        text(number_x, number_y + 5, str(shown_partition(partition)), size=16, css="inside bold"),
        text(node_x, node_y + 4, f"n{node}", size=12, css="inside"),
    ]


def _mark(centre: tuple[float, float], key: str) -> list[str]:
    turn = (partition_of(key) + 0.5) / PARTITIONS
    (ax, ay), (bx, by) = _at(centre, OUTER - 3, turn), _at(centre, OUTER + 16, turn)
    x, y = _at(centre, OUTER + 30, turn)
    return [
        f'<line class="markline" x1="{ax:.2f}" y1="{ay:.2f}" x2="{bx:.2f}" y2="{by:.2f}"/>',
        text(x, y + 5, key, size=16, css="mark bold"),
    ]


def rings() -> str:
    """The 16 partitions on 1, 2 and 4 nodes, with the positions of `k1` and `k2`."""
    parts: list[str] = []
    for column, nodes in enumerate((1, 2, 4)):
        centre = (190.0 + 350 * column, 175.0)
        for partition, node in enumerate(alternating(nodes)):
            parts += _sector(centre, partition, node)
        for key in ("k1", "k2"):
            parts += _mark(centre, key)
        parts.append(text(centre[0], centre[1] + 8, f"{nodes} node" + "s" * (nodes > 1), size=20, css="bold"))
    for node, colour in enumerate(NODE_COLOURS):
        x = 250 + 150 * node
        parts.append(f'<rect x="{x}" y="348" width="22" height="22" rx="4" fill="{colour}"/>')
        parts.append(text(x + 32, 364, f"n{node} = node {node}", size=14, css="faint", anchor="start"))
    first, second = (shown_partition(partition_of(key)) for key in ("k1", "k2"))
    return svg(
        1080,
        395,
        "The 16 partitions on 1, 2 and 4 nodes",
        f"Three rings of 16 partitions, numbered 1 to 16. The key k1 is in partition {first}, k2 in {second}. "
        "With N nodes, partition i, counting from 0, is on node i mod N.",
        parts,
    )


# ---- The architecture -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a name and up to two lines under it."""

    x: float
    y: float
    width: float
    height: float
    name: str
    lines: tuple[str, ...] = ()
    css: str = "box"

    def drawn(self) -> list[str]:
        """Its rectangle and its text."""
        middle = self.x + self.width / 2
        top = self.y + self.height / 2 - 9 * len(self.lines) + 5
        return [
            f'<rect class="{self.css}" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="8"/>',
            text(middle, top, self.name, size=17, css="bold"),
            *(text(middle, top + 20 + 18 * index, line, size=13, css="faint") for index, line in enumerate(self.lines)),
        ]


def _arrow(*points: tuple[float, float], label: str = "", at: tuple[float, float] | None = None) -> list[str]:
    """A line through `points` with a head at the last one, and its label at `at`."""
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    drawn = [f'<path class="line" d="{path}" marker-end="url(#head)"/>']
    if at is not None:
        drawn += [
            text(at[0], at[1] + 16 * index, line, size=13, css="label") for index, line in enumerate(label.split("\n"))
        ]
    return drawn


MARKER = (
    '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" d="M0 0 L10 5 L0 10 Z"/></marker></defs>'
)


def _boxes() -> list[Box]:
    return [
        Box(300, 20, 240, 42, "browsers and scripts", css="card"),
        Box(760, 20, 220, 42, "administrators", css="card"),
        Box(270, 120, 300, 82, "web :5000", ("pages, public API, accounts", "near cache of the hottest images")),
        Box(740, 120, 260, 82, "manager :5003", ("configure, monitor,", "users and tokens")),
        Box(40, 310, 240, 92, "storage :5001", ("checks and writes images,", "keeps the catalog")),
        Box(424, 322, 240, 92, ""),
        Box(417, 316, 240, 92, ""),
        Box(410, 310, 240, 92, "memcache :4000-4007", ("1 to 8 cache nodes, each", "owns its partitions")),
        Box(790, 310, 210, 92, "autoscaler :5002", ("owns the pool map,", "starts and stops nodes")),
        Box(40, 510, 210, 76, "object store", ("bytes: a folder", "or S3"), css="store"),
        Box(330, 510, 270, 76, "database", ("catalog, pool map, accounts:", "SQLite, MySQL, PostgreSQL"), css="store"),
        Box(790, 510, 210, 76, "metrics", ("kept locally,", "or CloudWatch"), css="store"),
    ]


def _arrows() -> list[str]:
    return [
        *_arrow((420, 62), (420, 118)),
        *_arrow((870, 62), (870, 118)),
        *_arrow((500, 202), (500, 308), label="reads", at=(500, 230)),
        *_arrow((320, 202), (240, 308), label="writes, lists,\npool map", at=(282, 236)),
        *_arrow((780, 202), (780, 274), (110, 274), (110, 308), label="lists", at=(640, 279)),
        *_arrow((900, 202), (900, 308), label="settings, state", at=(900, 250)),
        *_arrow((410, 340), (282, 340), label="fills, pool map", at=(346, 332)),
        *_arrow((280, 378), (408, 378), label="invalidations", at=(346, 396)),
        *_arrow((790, 350), (666, 350), label="start, stop", at=(728, 342)),
        *_arrow((130, 402), (130, 508), label="objects", at=(130, 460)),
        *_arrow((250, 402), (380, 508), label="catalog,\nchanges", at=(310, 448)),
        *_arrow((820, 402), (602, 540), label="pool map, journal,\ndecisions", at=(716, 458)),
        *_arrow((920, 402), (920, 508), label="samples, rates", at=(920, 460)),
        *_arrow((560, 414), (560, 440), (470, 440), (470, 416), label="during a resize: peer to peer", at=(515, 458)),
    ]


def architecture() -> str:
    """The five apps and what each talks to."""
    parts = [MARKER, *_arrows()]
    for box in _boxes():
        parts += box.drawn()
    parts.append(
        text(
            520,
            622,
            "web and manager also read accounts in the database; web and nodes send their samples to the autoscaler",
            size=13,
            css="faint",
        )
    )
    return svg(
        1040,
        645,
        "The five apps and what each talks to",
        "web reads from the cache nodes and writes through storage; nodes fill from storage; storage keeps bytes in "
        "the object store and metadata in the database, and invalidates nodes; the autoscaler starts and stops nodes "
        "and keeps the pool map and the metrics; the manager talks to autoscaler and storage.",
        parts,
    )


# ---- The rooms of the code ------------------------------------------------------------------------------------------

ROOMS = {
    "cli": "the command line",
    "doctor": "checks what a system needs",
    "backup": "whole systems, kept and restored",
    "supervisor": "starts and restarts the apps",
    "web": "pages, API, reads",
    "storage": "images in and out",
    "autoscaler": "changes the pool",
    "manager": "for administrators",
    "memcache": "a cache node",
    "pool": "map, members, leases",
    "accounts": "users, tokens, guard",
    "metrics": "count, publish, keep",
    "ui": "what all pages share",
    "imaging": "what an image is, renditions",
    "database": "engines, migrations",
    "process": "how a process of ours lives: server, ports, signals",
    "front": "the listener that answers reads of images",
    "http": "apps, problems, clients, entries",
    "aws": "what the AWS adapters share",
    "settings": "the only reader of the environment",
    "client": "images, from Python",
    "core": "the rules, pure: partitions, pool map, cache, fill rule, scaling",
}


def rooms() -> str:
    """The packages of the code, in the layers that import-linter holds: imports point downwards."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    left, whole, height, gap = 70, 950, 52, 12
    parts = [MARKER]
    for row, layer in enumerate(layers):
        names = [name.strip() for name in layer.split(":")]
        width = (whole - gap * (len(names) - 1)) / len(names)
        for column, name in enumerate(names):
            x, y = left + column * (width + gap), 24 + row * (height + gap)
            parts += Box(x, y, width, height, name, (ROOMS[name],)).drawn()
    bottom = 24 + len(layers) * (height + gap) - gap
    parts += _arrow((36, 24), (36, bottom))
    middle = (24 + bottom) / 2
    parts.append(f'<g transform="rotate(-90 24 {middle})">{text(24, middle, "may import", size=13, css="faint")}</g>')
    return svg(
        1040,
        bottom + 24,
        "The rooms of the code and which may import which",
        "A room may import the rooms below it, never one above or beside it: " + "; ".join(layers) + ".",
        parts,
    )


# ---- The deployment on AWS ------------------------------------------------------------------------------------------


def _area(x: float, y: float, width: float, height: float, name: str) -> list[str]:
    """A dashed frame with its name at the top left."""
    return [
        f'<rect class="line" stroke-dasharray="6 5" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>',
        text(x + 14, y + 22, name, size=13, css="faint", anchor="start"),
    ]


def _deployment_boxes() -> list[Box]:
    return [
        Box(280, 18, 230, 42, "browsers and scripts", css="card"),
        Box(720, 18, 230, 42, "administrators", css="card"),
        Box(260, 116, 270, 62, "load balancer", ("HTTPS :443; :80 redirects",)),
        Box(
            280,
            264,
            230,
            100,
            "front",
            ("web, storage, autoscaler,", "manager; one instance", "with a fixed address"),
        ),
        Box(60, 264, 160, 100, "web hosts", ("0 to 8, optional:", "web, storage")),
        Box(674, 278, 220, 100, ""),
        Box(667, 271, 220, 100, ""),
        Box(660, 264, 220, 100, "cache nodes", ("1 to 8 instances, launched", "and terminated by the front")),
        Box(60, 464, 230, 62, "database (RDS)", ("encrypted, kept 7 days",), css="store"),
        Box(350, 604, 180, 62, "bucket (S3)", ("images, packages",), css="store"),
        Box(550, 604, 180, 62, "Secrets Manager", ("four secrets",), css="store"),
        Box(750, 604, 180, 62, "CloudWatch", ("metrics, alarms",), css="store"),
    ]


def _deployment_arrows() -> list[str]:
    session = ((835, 60), (835, 216), (470, 216), (470, 262))
    return [
        *_arrow((395, 60), (395, 114)),
        *_arrow((395, 178), (395, 262), label="5000", at=(370, 226)),
        *_arrow((310, 178), (140, 262), label="5000", at=(214, 216)),
        *_arrow((510, 290), (658, 290), label="4000-4007,\ninvalidations", at=(585, 268)),
        *_arrow((660, 344), (512, 344), label="5001, 5002", at=(586, 364)),
        *_arrow((820, 380), (820, 420), (870, 420), (870, 382), label="4000-4007,\neach other", at=(845, 442)),
        *_arrow((190, 364), (190, 462), label="SQL", at=(190, 412)),
        *_arrow((330, 364), (250, 462), label="SQL", at=(296, 412)),
        *_arrow((420, 364), (420, 570), label="443", at=(420, 500)),
        *_arrow((720, 380), (720, 570), label="443", at=(720, 500)),
        *_arrow(*session, label="Session Manager,\nno port open", at=(735, 190)),
    ]


def deployment() -> str:
    """What deploy/aws creates, and what may talk to what."""
    parts = [
        MARKER,
        *_area(30, 84, 900, 466, "VPC, two zones"),
        *_area(46, 432, 258, 106, "private subnets"),
        *_area(330, 572, 620, 110, "Amazon's services"),
    ]
    parts += _deployment_arrows()
    for box in _deployment_boxes():
        parts += box.drawn()
    return svg(
        980,
        700,
        "The stack on AWS and what may talk to what",
        "People reach a load balancer by HTTPS, which forwards to web on the front and on additional web hosts. The "
        "front reads from cache nodes and invalidates them; nodes fill from it and from each other. Hosts reach the "
        "database in private subnets. Hosts and nodes reach S3, Secrets Manager and CloudWatch. Administrators "
        "connect through Session Manager.",
        parts,
    )


def figures() -> dict[str, str]:
    """Every figure: file name and content."""
    return {
        "rings.svg": rings(),
        "architecture.svg": architecture(),
        "rooms.svg": rooms(),
        "deployment.svg": deployment(),
    }


def main() -> None:
    """Write the figures next to this file."""
    for name, content in figures().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
