"""What the system weighs: each app's imports, the whole of it idle, and a cached byte.

    python -m benchmarks.footprint [--images 1500] [--json FILE]

The bounds are those of docs/budgets.md and of the project's goals.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from testing.loaded import APPS, loaded
from testing.system import System, running
from testing.waiting import wait_for

from benchmarks.lib.facts import facts
from benchmarks.lib.images import jpegs
from benchmarks.lib.processes import app_name, pss_bytes
from elastic_images.core.keys import quote_key
from elastic_images.http.internal_client import InternalClient

IDLE_MB, OVERHEAD = 450.0, 0.05
_BODY_BYTES = 100_000
_NODES = 2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1500, help="how many images of 100 KB a node is filled with")
    parser.add_argument("--times", type=int, default=5, help="how often each app is started for its import time")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="footprint-") as name:
        figures = {
            "facts": facts(Path(name)),
            "imports": imports(options.times),
            "idle_mb": idle(Path(name) / "idle"),
            "cached": cached(Path(name) / "cached", options.images),
        }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def imports(times: int) -> dict[str, Any]:
    """What each app loads until its service is built."""
    print("| app | seconds | modules | megabytes |\n| --- | ---: | ---: | ---: |")
    found = {}
    for app in APPS:
        runs = [loaded(app) for _ in range(times)]
        seconds = median(run.seconds for run in runs)
        print(f"| {app} | {seconds:.2f} | {runs[0].modules} | {runs[0].megabytes:.0f} |", flush=True)
        found[app] = {**runs[0]._asdict(), "seconds": seconds, "packages": sorted(runs[0].packages)}
    return found


def idle(folder: Path) -> dict[str, float]:
    """What each process of an idle system with 2 nodes weighs."""
    with running(folder, nodes=_NODES) as system:
        weights = {app_name(process.cmdline()): pss_bytes([process]) / 1e6 for process in system.processes()}
    weights["total"] = sum(weights.values())
    print(f"\nidle with {_NODES} nodes, PSS in MB (the whole within {IDLE_MB:g})\n\n| process | MB |\n| --- | ---: |")
    for name, weight in weights.items():
        print(f"| {name} | {weight:.1f} |", flush=True)
    return weights


def cached(folder: Path, images: int) -> dict[str, float]:
    """How much a node grows by images of 100 KB, and what it says itself that they take."""
    bodies = jpegs(_BODY_BYTES, 8)
    with running(folder, nodes=1, near_cache_mb=0, cache_mb=images * _BODY_BYTES * 2 // 1_000_000 + 64) as system:
        keys = [f"footprint/{number:06}" for number in range(images)]
        with ThreadPoolExecutor(8) as threads:
            for _ in threads.map(lambda at: system.admin().put(keys[at], bodies[at % len(bodies)]), range(images)):
                pass
        # The first fills cost threads and buffers, too, once: they are no image's.
        node, warm = system.node(0), max(1, images // 10)
        idle_bytes = pss_bytes([node])
        first = _read_all(system, keys[:warm], warm)
        warm_bytes = pss_bytes([node])
        last = _read_all(system, keys[warm:], images)
        full_bytes = pss_bytes([node])
    sizes = [len(bodies[at % len(bodies)]) for at in range(images)]
    image_bytes, counted, grew = sum(sizes[warm:]), last["bytes"] - first["bytes"], full_bytes - warm_bytes
    found = {
        "image_bytes": image_bytes,
        "node_grew_bytes": grew,
        "node_counts_bytes": counted,
        "overhead": grew / image_bytes - 1,
        "counted_overhead": counted / image_bytes - 1,
        "once_bytes": warm_bytes - idle_bytes - sum(sizes[:warm]),
    }
    print(
        f"\n{images - warm:,} images of 100 KB, {image_bytes / 1e6:.1f} MB: the node grew by {grew / 1e6:.1f} MB,"
        f" {100 * found['overhead']:+.1f} % (within {100 * OVERHEAD:g} %); it counts {counted / 1e6:.1f} MB,"
        f" {100 * found['counted_overhead']:+.1f} %. The first fills cost {found['once_bytes'] / 1e6:.1f} MB, once."
    )
    return found


def _read_all(system: System, keys: list[str], held: int) -> dict[str, Any]:
    """Have the node fetch these images; its statistics once it holds them."""
    http = InternalClient((system.data / "internal-token").read_text().strip())
    url = f"http://127.0.0.1:{system.port('memcache')}"
    with ThreadPoolExecutor(8) as threads:
        for _ in threads.map(lambda key: http.fetch(f"{url}/images/{quote_key(key)}"), keys):
            pass
    stats: dict[str, Any] = wait_for(
        lambda: found if (found := http.get_json(f"{url}/stats"))["items"] == held else None,
        f"the node holds {held} images",
    )
    http.close()
    return stats


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
