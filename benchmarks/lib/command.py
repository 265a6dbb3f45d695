"""The command `benchmarks/serving.py`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.lib import targets
from benchmarks.lib.bench import Bench, Result, bench
from benchmarks.lib.facts import facts, in_one_line
from benchmarks.lib.figures import target_json
from benchmarks.lib.goals import Verdict, goals, goals_table, verdicts
from benchmarks.lib.groups import GROUPS
from benchmarks.lib.options import Options, parse
from benchmarks.lib.processes import StartFailed
from benchmarks.lib.tables import cost_table, tables
from benchmarks.lib.wrk import LoadFailed

_DISTURBED, _SPOILED = 0.1, 0.3
_TOOLS = {targets.NGINX: "nginx", targets.MEMCACHED: "memcached"}


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write; the exit code."""
    options = parse(arguments)
    missing = [tool for tool in _tools(options) if shutil.which(tool) is None]
    if missing:
        print(f"Not installed: {', '.join(missing)}. ./run_tests.sh --install-services installs them.", file=sys.stderr)
        return 2
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {text}", file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="elastic-images-bench-", dir=options.folder) as name:
            folder = Path(name)
            known = facts(folder)
            with bench(options, folder, say) as made:
                results = _run(made)
            report = _report(options, known, results, made.memory)
    except (LoadFailed, StartFailed) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    _print(results, verdicts(results, goals(options.nodes)), report)
    return 0


def _run(made: Bench) -> list[Result]:
    results: list[Result] = []
    for name, group in GROUPS.items():
        scenarios = [scenario for scenario in made.options.scenarios if scenario.group == name]
        results += group(made, scenarios)
    return results


def _report(
    options: Options, known: dict[str, Any], results: Sequence[Result], memory: dict[str, Any]
) -> dict[str, Any]:
    return {
        "facts": {**known, "load_after": round(os.getloadavg()[0], 2)},
        "options": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "nodes": options.nodes[0],
            "near_cache_mb": options.near_cache_mb,
            "working_set_mb": options.working_set_mb,
            "cache_mb": options.cache_mb,
        },
        "results": [
            {
                "scenario": result.scenario.name,
                "size_bytes": result.scenario.size_bytes,
                "targets": {name: target_json(measured) for name, measured in result.rounds.items()},
            }
            for result in results
        ],
        "goals": [verdict.to_json() for verdict in verdicts(results, goals(options.nodes))],
        "memory": memory,
    }


def _print(results: Sequence[Result], found: Sequence[Verdict], report: dict[str, Any]) -> None:
    print(tables(results))
    print(f"### Processor time for an answer, in microseconds\n\n{cost_table(results)}")
    if found:
        print(f"### What was promised\n\n{goals_table(found)}")
    names = dict.fromkeys(name for result in results for name in result.rounds if name in targets.MEANINGS)
    for name in names:
        print(f"- {name}: {targets.MEANINGS[name]}")
    print(f"\n{in_one_line(report['facts'])}")
    others = [one["others_share"] for result in report["results"] for one in result["targets"].values()]
    share = median(others) if others else 0.0
    if share > _DISTURBED:
        trust = "the ratios, not the rates" if share <= _SPOILED else "the processor times at most"
        print(f"\nOther processes used {share:.0%} of this machine meanwhile: trust {trust}.")


def _tools(options: Options) -> list[str]:
    wanted = ["wrk", *(tool for name, tool in _TOOLS.items() if name in options.targets)]
    return [*wanted, "nginx"] if targets.MEMCACHED in options.targets and "nginx" not in wanted else wanted
