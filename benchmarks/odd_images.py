"""Does a system survive odd files? Uploads of images that are cut, with flipped bits, with their chunks shuffled.

    python -m benchmarks.odd_images [--files 10000] [--seed 0] [--json FILE]

Wanted: no 5xx, no process that dies, nothing left of what was refused, and memory as flat as without them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from testing.client import Client
from testing.mangled_images import mangled_images
from testing.system import System, running

from benchmarks.lib.facts import facts, in_one_line
from benchmarks.lib.processes import app_name, pss_bytes
from benchmarks.lib.stopping import in_order

_AT_ONCE = 8
_KEYS = 64
_STEPS = 5
_GROWTH_MB = 25.0
_REFUSED = frozenset({400, 413, 415, 422})
_APPS = ("web", "storage")
_LEFTOVERS = ("unreferenced", "partial", "missing", "wrong_size", "wrong_digest")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="how many files are uploaded")
    parser.add_argument("--seed", type=int, default=0, help="other files for another seed")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="odd-images-") as name:
        known = facts(Path(name))
        with running(Path(name) / "system", nodes=1, retention_days=0) as system:
            figures = _measure(system, options.files, options.seed)
    missed = _show(figures)
    print(f"\n{in_one_line(known)}")
    if options.json:
        options.json.write_text(json.dumps({"facts": known, **figures, "missed": missed}, indent=2))
    return 1 if missed else 0


def _measure(system: System, files: int, seed: int) -> dict[str, Any]:
    odd = mangled_images(seed)
    processes = _processes(system)
    answers: Counter[str] = Counter()
    memory, began = [], time.monotonic()
    for step in range(_STEPS):
        answers += _upload(system.admin(), islice(odd, files // _STEPS), step)
        weighed = processes | {"imaging": [one for one in system.processes() if "imaging" in " ".join(one.cmdline())]}
        memory.append({name: round(pss_bytes(found) / 1e6, 1) for name, found in weighed.items()})
        print(f"{(step + 1) * (files // _STEPS)} files: {dict(answers)}, {memory[-1]}", file=sys.stderr, flush=True)
    stored = len(system.admin().request("GET", "/api/images?limit=1000").json["images"])
    return {
        "files": files,
        "seconds": round(time.monotonic() - began, 1),
        "answers": dict(answers),
        "unexpected": {what: count for what, count in answers.items() if what not in ("stored", "refused")},
        "memory_mb": memory,
        "died": [name for name in _APPS if [one.pid for one in processes[name]] != _pids(system)[name]],
        "images": stored,
        "fsck": system.cli_json("fsck"),
    }


def _upload(client: Client, files: Iterable[tuple[str, bytes]], step: int) -> Counter[str]:
    def one(numbered: tuple[int, tuple[str, bytes]]) -> str:
        number, (what, body) = numbered
        if not body:
            return "refused"
        status = client.put(f"odd/{step}/{number % _KEYS}", body).status
        if status in (200, 201):
            return "stored"
        return "refused" if status in _REFUSED else f"{status}: {what}"

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return Counter(threads.map(one, enumerate(files)))


def _processes(system: System) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in _APPS}
    for process in system.processes():
        name = app_name(process.cmdline())
        if name in found:
            found[name].append(process)
    return found


def _pids(system: System) -> dict[str, list[int]]:
    return {name: [one.pid for one in processes] for name, processes in _processes(system).items()}


def _show(figures: dict[str, Any]) -> list[str]:
    first, last = figures["memory_mb"][0], figures["memory_mb"][-1]
    grown = {name: round(last[name] - first[name], 1) for name in first}
    left = {what: len(figures["fsck"][what]) for what in _LEFTOVERS if figures["fsck"][what]}
    lines = {
        "answers that are neither stored nor refused": (figures["unexpected"] or 0, not figures["unexpected"]),
        "processes that died": (figures["died"] or 0, not figures["died"]),
        "objects left behind, damaged or lost": (left or 0, not left),
        f"growth after the first fifth, MB (at most {_GROWTH_MB:g})": (grown, max(grown.values()) <= _GROWTH_MB),
    }
    print(f"{figures['files']} odd files in {figures['seconds']} s: {figures['answers']}")
    print("\n| | | |\n| --- | --- | --- |")
    for what, (value, reached) in lines.items():
        print(f"| {what} | {value} | {'reached' if reached else 'missed'} |", flush=True)
    return [what for what, (_, reached) in lines.items() if not reached]


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
