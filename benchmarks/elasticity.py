"""The cost of a resize under load: misses, fetches from storage, latency, failed requests, bytes moved.

Zipf(1.0) over 5,000 images of 20 to 200 KB, each node holding 12 % of them; a steady state, then 4 -> 5 -> 4 -> 8 ->
7 -> 1 -> 8 nodes under load, once with the warm step and once without it. benchmarks/README.md explains the output.
The exit code is 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.elastic.options import QUICK, RENDITIONS, Options
from benchmarks.elastic.report import figures_of, report, survival_table, table
from benchmarks.elastic.run import measure
from benchmarks.lib.facts import facts
from benchmarks.lib.stopping import in_order
from elastic_images.core.assignment import ASSIGNMENTS


def main() -> int:
    """Measure as the command line says."""
    given = _arguments()
    options = _options(given)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {line}", file=sys.stderr, flush=True)

    known = facts(Path(tempfile.gettempdir()))
    runs = measure(options, say)
    found = {name: figures_of(run) for name, run in runs.items()}
    for name, figures in found.items():
        print(f"### {'As it is' if name == 'warm' else 'Without the warm step'}\n\n{table(figures)}")
    if runs["warm"].survivals:
        print(f"### When a node is lost\n\n{survival_table(runs['warm'].survivals)}")
    if given.json:
        document = {"facts": known, "options": {**asdict(options), "folder": None}, "runs": report(runs)}
        Path(given.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    broken = [one.broken() for one in found["warm"]] + [one.broken() for one in runs["warm"].survivals]
    return 1 if any(broken) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.elasticity", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images and short times, to see that it works")
    parser.add_argument("--images", type=int)
    parser.add_argument("--share", type=float, dest="node_share", help="of all images' bytes, what a node holds")
    parser.add_argument("--sizes", help="pool sizes between commas, the first to start with")
    parser.add_argument("--rate", type=float, dest="requests_per_second", metavar="REQUESTS", help="a second")
    parser.add_argument("--rest", type=int, dest="rest_requests", metavar="REQUESTS", help="between resizes")
    parser.add_argument("--before", type=float, dest="before_seconds", metavar="SECONDS")
    parser.add_argument("--after", type=float, dest="after_seconds", metavar="SECONDS")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--assignment", choices=ASSIGNMENTS)
    parser.add_argument("--warm-rate", type=int, dest="warm_bytes_per_second", metavar="BYTES", help="a second, a node")
    parser.add_argument("--renditions", action="store_true", help="read renditions, of fewer images; lose no nodes")
    parser.add_argument("--only-warm", action="store_true", help="leave out the run without the warm step")
    parser.add_argument("--folder", type=Path, help="where to work; default: the machine's temporary folder")
    parser.add_argument("--json", metavar="FILE", help="where to write the report")
    return parser.parse_args()


def _options(given: argparse.Namespace) -> Options:
    names = (
        "images",
        "node_share",
        "requests_per_second",
        "rest_requests",
        "before_seconds",
        "after_seconds",
        "seed",
        "assignment",
    )
    changes = {name: getattr(given, name) for name in (*names, "warm_bytes_per_second", "folder")}
    usual = QUICK if given.quick else RENDITIONS if given.renditions else Options()
    options = replace(usual, renditions=given.renditions, **{k: v for k, v in changes.items() if v is not None})
    if given.sizes:
        options = replace(options, sizes=tuple(map(int, given.sizes.split(","))))
    return replace(options, compare_without_warming=False) if given.only_warm else options


if __name__ == "__main__":
    sys.exit(in_order(main))
