"""Looks for stale and failed reads in a running system, while it resizes and its processes are killed and stopped.

Several writers and readers on several web processes. Bodies carry key and version, and every read is compared with
what was acknowledged before it began: the wrong version and the wrong person both count as stale. Images are hidden,
shown and renamed, and credentials revoked. Prints a report; the exit code is 1 if a read was stale or failed.

With --hosts the system runs on several hosts: network namespaces of this machine (Linux, root), with MariaDB or
PostgreSQL and S3 on a separate host. Then cables are pulled and packets lost, in one direction or both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import takewhile
from pathlib import Path
from typing import Any

from benchmarks.checker.one_machine import Options, check
from benchmarks.lib.stopping import in_order


def main() -> int:
    """Run the checker as the command line says."""
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coherence", description=__doc__)
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--seed", type=int, default=usual.seed, help="the same seed replays resizes and faults")
    parser.add_argument("--keys", type=int, help="how many; fewer are changed and read more often each")
    parser.add_argument("--hosts", choices=("mariadb", "postgresql"), help="on several hosts, with this database")
    parser.add_argument("--web-processes", type=int, default=usual.web_processes)
    parser.add_argument("--storage-processes", type=int, default=usual.storage_processes)
    parser.add_argument("--resize-pause", type=float, default=usual.resize_pause_seconds, metavar="SECONDS")
    parser.add_argument("--fault-pause", type=float, default=usual.fault_pause_seconds, metavar="SECONDS")
    parser.add_argument("--folder", type=Path, help="where to work; default: the machine's temporary folder")
    parser.add_argument("--json", metavar="FILE", help="where to write the report")
    given = parser.parse_args()
    report = _on_several_hosts(given) if given.hosts else _on_one(given)
    text = json.dumps(report, indent=2)
    print(text)
    if given.json:
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    return 1 if report["stale_reads"] or report["failed_reads"] or report["lost_writes"] else 0


def _on_one(given: argparse.Namespace) -> dict[str, Any]:
    pauses = {"resize_pause_seconds": given.resize_pause, "fault_pause_seconds": given.fault_pause}
    names = ("seconds", "seed", "web_processes", "storage_processes", "folder")
    return check(Options(**{name: getattr(given, name) for name in names}, **pauses, **_keys(given)), _say)


def _keys(given: argparse.Namespace) -> dict[str, Any]:
    return {} if given.keys is None else {"keys": given.keys}


def _on_several_hosts(given: argparse.Namespace) -> dict[str, Any]:
    from testing.database_servers import mariadb, postgresql
    from testing.hosts.network import why_not

    from benchmarks.checker.cuts import schedule
    from benchmarks.checker.several_hosts import SeveralOptions, check_several

    missing = why_not()
    if missing:
        sys.exit(f"This machine cannot be several hosts: {missing}.")
    options = SeveralOptions(
        database={"mariadb": mariadb, "postgresql": postgresql}[given.hosts],
        seed=given.seed,
        resize_pause_seconds=given.resize_pause,
        pause_seconds=given.fault_pause,
        **_keys(given),
    )
    ends = time.monotonic() + given.seconds
    return check_several(options, takewhile(lambda _cut: time.monotonic() < ends, schedule(given.seed)), _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(in_order(main))
