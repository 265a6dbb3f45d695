"""Looks for stale and failed reads in a running system, while it resizes and its processes are killed and stopped.

Several writers and readers on several web processes. Bodies carry key and version, and every read is compared with
what was acknowledged before it began. Reports what it did and found; exit code 1 where a read was stale or failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.checker.run import Options, check


def main() -> int:
    """Run the checker as the command line says."""
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coherence", description=__doc__)
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--seed", type=int, default=usual.seed, help="the same seed replays resizes and faults")
    parser.add_argument("--web-processes", type=int, default=usual.web_processes)
    parser.add_argument("--storage-processes", type=int, default=usual.storage_processes)
    parser.add_argument("--resize-pause", type=float, default=usual.resize_pause_seconds, metavar="SECONDS")
    parser.add_argument("--fault-pause", type=float, default=usual.fault_pause_seconds, metavar="SECONDS")
    parser.add_argument("--json", metavar="FILE", help="where to write the report")
    given = parser.parse_args()
    options = replace(
        usual,
        seconds=given.seconds,
        seed=given.seed,
        web_processes=given.web_processes,
        storage_processes=given.storage_processes,
        resize_pause_seconds=given.resize_pause,
        fault_pause_seconds=given.fault_pause,
    )
    report = check(options, lambda line: print(line, file=sys.stderr, flush=True))
    text = json.dumps(report, indent=2)
    print(text)
    if given.json:
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    return 1 if report["stale_reads"] or report["failed_reads"] else 0


if __name__ == "__main__":
    sys.exit(main())
