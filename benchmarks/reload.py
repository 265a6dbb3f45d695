"""What a reload costs those who use the system: failed requests, and the longest write.

    python -m benchmarks.reload [--reloads 20] [--rate 200] [--json FILE]

Reads and writes on kept-alive connections go on at a steady rate while all processes are replaced again and again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from testing.steady_load import SteadyLoad, steady_load
from testing.system import running

from benchmarks.lib.facts import facts

LONGEST_WRITE_SECONDS = 1.0
"""How much longer than without reloads a write may take."""
_CONNECTIONS = 16


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=20, help="how often all processes are replaced")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, one in five a write")
    parser.add_argument("--processes", type=int, default=2, help="how many processes web and storage have")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="reload-") as name:
        figures = {"facts": facts(Path(name)), **_measure(Path(name), options)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def _measure(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    processes = {"web_processes": options.processes, "storage_processes": options.processes}
    with running(folder, nodes=2, **processes) as system:
        token = (system.data / "cli-token").read_text().strip()

        def load(work: str) -> dict[str, float]:
            started = time.monotonic()
            with steady_load(system.port(), token, connections=_CONNECTIONS, a_second=options.rate) as sent:
                if work == "without reloads":
                    time.sleep(min(30.0, options.reloads * 2.0))
                else:
                    for _ in range(options.reloads):
                        if not (done := system.cli_json("reload"))["ok"]:
                            raise SystemExit(f"a reload failed: {done}")
            return _shown(work, sent, time.monotonic() - started)

        print("| | requests | a second | failed | longest write, seconds |\n| --- | ---: | ---: | ---: | ---: |")
        calm, reloading = load("without reloads"), load(f"{options.reloads} reloads")
    held = reloading["longest_write_seconds"] - calm["longest_write_seconds"]
    kept = "reached" if not reloading["failed"] and held <= LONGEST_WRITE_SECONDS else "missed"
    print(f"\n0 failed, no write longer than {LONGEST_WRITE_SECONDS:g} s beyond those without reloads: {kept}")
    return {"calm": calm, "reloading": reloading}


def _shown(work: str, sent: SteadyLoad, seconds: float) -> dict[str, float]:
    failed, longest = len(sent.failures), sent.longest_write_seconds
    print(f"| {work} | {sent.requests} | {sent.requests / seconds:.0f} | {failed} | {longest:.2f} |", flush=True)
    for failure in sent.failures[:10]:
        print(failure, file=sys.stderr)
    return {"requests": sent.requests, "seconds": seconds, "failed": failed, "longest_write_seconds": longest}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
