"""The command's arguments."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib import targets
from benchmarks.lib.scenarios import Scenario, every_scenario, quick_scenarios


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how long."""

    scenarios: tuple[Scenario, ...]
    targets: tuple[str, ...]
    rounds: int
    seconds: int
    nodes: tuple[int, ...]
    """Sizes of the pool: the first for everything, all of them in the group `nodes`."""
    near_cache_mb: int
    working_set_mb: int
    """For each size of image."""
    json: Path | None
    folder: Path | None
    quick: bool

    @property
    def cache_mb(self) -> int:
        """What one node must hold so that the pool holds all working sets, with room to spare."""
        return 4 * self.working_set_mb + 256

    def keys_of(self, scenario: Scenario) -> int:
        """How many keys the working set of the scenario's size has: 64 at least."""
        return max(64, self.working_set_mb * 1_000_000 // scenario.size_bytes)


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line. Ends the process, with a message, where they make no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        wanted = re.compile(given.only)
    except re.error as error:
        parser.error(f"--only: {error}")
    scenarios = quick_scenarios() if given.quick else every_scenario()
    chosen = tuple(scenario for scenario in scenarios if wanted.search(scenario.name))
    if not chosen:
        parser.error("--only matches none of: " + " ".join(scenario.name for scenario in scenarios))
    quick: bool = given.quick
    return Options(
        scenarios=chosen,
        targets=tuple(given.targets or targets.ALL),
        rounds=given.rounds or (1 if quick else 3),
        seconds=given.seconds or (1 if quick else 2),
        nodes=tuple(dict.fromkeys(given.nodes)) if given.nodes else ((1, 2) if quick else (1, 8)),
        near_cache_mb=given.near_cache_mb or (2 if quick else 64),
        working_set_mb=given.working_set_mb or (8 if quick else 192),
        json=given.json,
        folder=given.folder,
        quick=quick,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/serving.py",
        description="Measures how fast images come, beside what people would build instead. It needs wrk, nginx and "
        "memcached (./run_tests.sh --install-services), starts a system of its own on free ports, prints tables, and "
        "leaves nothing behind.",
    )
    parser.add_argument("--quick", action="store_true", help="a few scenarios, one short round of each: under a minute")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds of each scenario (3)")
    parser.add_argument("--seconds", type=_positive, metavar="N", help="how long one measurement takes (2)")
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="scenarios whose name (read/zipf/100KB/16) has this expression"
    )
    parser.add_argument(
        "--target", action="append", choices=targets.ALL, dest="targets", help="measure only this, may be repeated"
    )
    parser.add_argument(
        "--nodes",
        action="append",
        type=_pool_size,
        metavar="N",
        help="nodes of the pool; repeated: the first for everything, all of them in the group nodes (1 and 8)",
    )
    parser.add_argument("--near-cache-mb", type=_positive, metavar="MB", help="near cache of web (64, its default)")
    parser.add_argument("--working-set-mb", type=_positive, metavar="MB", help="working set of each size (192)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all figures")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="where its temporary folder is made")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _pool_size(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 8:
        raise ValueError
    return number
