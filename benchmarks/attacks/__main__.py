"""What clients of good will notice while others attack.

    python -m benchmarks.attacks [--only slow-bodies] [--seconds 20] [--json FILE]

Wanted: no request of theirs fails, their 99th percentile is at most 3 times the quiet one, web and storage
stay below 300 MB each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from testing.system import System, running

from benchmarks.attacks.attack import ATTACKS, HOT, Attack
from benchmarks.attacks.floods import FLOODS
from benchmarks.attacks.others import WANTED_RATIO, Others
from benchmarks.lib.askers import Seen, asking
from benchmarks.lib.facts import facts, in_one_line
from benchmarks.lib.images import jpegs
from benchmarks.lib.processes import pss_bytes
from benchmarks.lib.stopping import in_order

_ALL = (*ATTACKS, *FLOODS)
_WANTED_MB = 300.0
_WEIGHED = ("web", "storage")
_SETTLE_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[attack.name for attack in _ALL], help="these attacks")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each phase lasts")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    chosen = [attack for attack in _ALL if not options.only or attack.name in options.only]
    with tempfile.TemporaryDirectory(prefix="attacks-") as name:
        known = facts(Path(name))
        phases = measure(Path(name), chosen, options.seconds)
    missed = show(phases)
    print(f"\n{in_one_line(known)}")
    if options.json:
        options.json.write_text(json.dumps({"facts": known, "phases": phases, "missed": missed}, indent=2))
    return 1 if missed else 0


def measure(folder: Path, attacks: list[Attack], seconds: float) -> list[dict[str, Any]]:
    """A quiet phase before each attack, and the attack."""
    image, upload = jpegs(10_000, 1)[0], jpegs(30_000, 1)[0]
    phases = []
    with running(folder, nodes=1) as system:
        assert system.admin().put(HOT, image).status == 201
        others = Others(system, image, upload)
        try:
            _phase(system, others, 2.0)  # connects, and warms the caches
            for attack in attacks:
                quiet, quiet_mb = _phase(system, others, seconds)
                with attack.begin(system):
                    seen, mb = _phase(system, others, seconds)
                phases.append(_figures(attack, others, quiet, seen, quiet_mb, mb))
                print(f"{attack.name}: measured", file=sys.stderr, flush=True)
                time.sleep(_SETTLE_SECONDS)
        finally:
            others.close()
    return phases


def _phase(system: System, others: Others, seconds: float) -> tuple[Seen, list[float]]:
    """What the others saw, and the most that web and storage weighed, in MB."""
    weighed = [system.find(app)[0] for app in _WEIGHED]
    most, over = [0.0 for _ in weighed], threading.Event()
    with asking(others.askers) as seen:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            most = [max(before, pss_bytes([app]) / 1e6) for before, app in zip(most, weighed, strict=True)]
            over.wait(min(1.0, seconds / 4))
    return seen, most


def _figures(
    attack: Attack, others: Others, quiet: Seen, seen: Seen, quiet_mb: list[float], mb: list[float]
) -> dict[str, Any]:
    return {
        "attack": attack.name,
        "what": attack.what,
        "mb": {app: round(most, 1) for app, most in zip(_WEIGHED, mb, strict=True)},
        "mb_quiet": {app: round(most, 1) for app, most in zip(_WEIGHED, quiet_mb, strict=True)},
        "others": {
            who: {
                "asked": seen.asked(who),
                "failed": len(seen.failed[who]),
                "failures": seen.failed[who][:3],
                "failed_quiet": len(quiet.failed[who]),
                "p99_ms": round(seen.p99_ms(who), 1),
                "p99_ms_quiet": round(quiet.p99_ms(who), 1),
            }
            for who in others.kinds
        },
    }


def show(phases: list[dict[str, Any]]) -> list[str]:
    """Print the figures as a table; what was missed."""
    missed = []
    print("| attack | others | asked | failed | p99, ms | quiet | ratio | |\n|---|---|---:|---:|---:|---:|---:|---|")
    for phase in phases:
        for who, found in phase["others"].items():
            ratio = found["p99_ms"] / found["p99_ms_quiet"]
            verdict = "reached" if not found["failed"] and ratio <= WANTED_RATIO else "missed"
            if verdict == "missed":
                missed.append(f"{phase['attack']}: {who}")
            print(
                f"| {phase['attack']} | {who} | {found['asked']} | {found['failed']} | {found['p99_ms']} "
                f"| {found['p99_ms_quiet']} | {ratio:.1f} | {verdict} |"
            )
        for app, most in phase["mb"].items():
            verdict = "reached" if most <= _WANTED_MB else "missed"
            if verdict == "missed":
                missed.append(f"{phase['attack']}: memory of {app}")
            print(f"| {phase['attack']} | {app}, MB | | | {most} | {phase['mb_quiet'][app]} | | {verdict} |")
        for who, found in phase["others"].items():
            for failure in found["failures"]:
                print(f"{phase['attack']}: {who}: {failure}", file=sys.stderr)
    return missed


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
