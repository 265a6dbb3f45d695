"""A starved machine is not a dead system: how many processes are replaced, and nodes fenced, while nothing is wrong.

    python -m benchmarks.starved [--busy 60] [--seconds 60] [--json FILE]

Busy processes take the machine from a system of two nodes with light traffic. Nothing is stopped or killed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

from testing.client import Answer
from testing.system import System, running

from benchmarks.lib.askers import Asker, asking
from benchmarks.lib.busy import busy_processes
from benchmarks.lib.facts import facts
from benchmarks.lib.images import jpegs
from benchmarks.lib.stopping import in_order

_NODES, _KEYS = 2, 16
_READ_PAUSE_SECONDS, _WRITE_PAUSE_SECONDS = 0.05, 0.5
_LOSSES = ("node-fenced", "node-dead", "node-died", "node-killed", "fail-over")
_APPS = ("web", "storage", "autoscaler", "manager", "memcache")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=60, help="how many busy processes")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="starved-") as name:
        figures = {"facts": facts(Path(name)), **measure(Path(name), options.busy, options.seconds)}
    for what, value in figures["found"].items():
        print(f"| {what} | {value} |", flush=True)
    reached = not figures["replaced"] and not figures["fenced"] and not figures["found"]["wrong bytes"]
    print(f"0 replaced, 0 fenced: {'reached' if reached else 'missed'}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0 if reached else 1


def measure(folder: Path, busy: int, seconds: float) -> dict[str, Any]:
    """Load the machine for so long, and count what the system lost."""
    with running(folder, nodes=_NODES) as system:
        bodies = jpegs(10_000, _KEYS)
        for number, body in enumerate(bodies):
            assert system.admin().put(f"starved/{number}", body).status == 201
        before, first_event = _pids(system), _newest_event(system)
        with asking(_traffic(system, bodies)) as seen, busy_processes(busy):
            time.sleep(seconds)
            load = os.getloadavg()[0]
        system.wait_settled(_NODES)
        replaced = sum(before[app] != pids for app, pids in _pids(system).items())
        lost = Counter(event["kind"] for event in system.autoscaler().events(500) if event["id"] > first_event)
        hangs = system.log_path.read_text().count(" hangs (")
    fenced = lost["node-fenced"]
    return {
        "replaced": replaced + hangs,
        "fenced": fenced,
        "found": {
            "load average": round(load, 1),
            "apps replaced": replaced,
            "called hung": hangs,
            **{kind: lost[kind] for kind in _LOSSES},
            **{who: seen.asked(who) for who in ("reads", "writes")},
            **{f"failed {who}": len(seen.failed[who]) for who in ("reads", "writes")},
            "wrong bytes": sum(failure.startswith("200") for failure in seen.failed["reads"]),
        },
    }


def _pids(system: System) -> dict[str, list[int]]:
    return {app: [process.pid for process in system.find(app)] for app in _APPS}


def _newest_event(system: System) -> int:
    return max((event["id"] for event in system.autoscaler().events(1)), default=0)


def _traffic(system: System, bodies: list[bytes]) -> list[Asker]:
    """One reader and one writer, light."""
    reader, writer, possible = system.client(), system.admin(), set(bodies)
    reads, writes = count(1), count(1)

    def write() -> Answer:
        turn = next(writes)
        return writer.put(f"starved/{turn % _KEYS}", bodies[(turn * 7) % _KEYS])

    return [
        Asker(
            "reads",
            _READ_PAUSE_SECONDS,
            lambda: reader.get(f"starved/{next(reads) % _KEYS}"),
            lambda answer: answer.status == 200 and answer.body in possible,
        ),
        Asker("writes", _WRITE_PAUSE_SECONDS, write, lambda answer: answer.status == 200),
    ]


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
