"""What an app loads before its first request. Run as a program, it builds one app and prints the figures."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from testing.settings import make_settings

APPS = ("memcache", "web", "storage", "autoscaler", "manager")


class Loaded(NamedTuple):
    """What a process has loaded. `packages` are the first parts of its modules' names."""

    seconds: float
    modules: int
    megabytes: float
    packages: frozenset[str]


def loaded(app: str) -> Loaded:
    """Build an app's service in a new process and measure it."""
    done = subprocess.run([sys.executable, "-m", __name__, app], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return Loaded(told["seconds"], told["modules"], told["megabytes"], frozenset(told["packages"]))


def _main(app: str) -> None:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings = make_settings(data=Path(folder))
        build = importlib.import_module(f"elastic_images.{app}.service").build
        _service = build(settings, 0) if app == "memcache" else build(settings)
        took = time.perf_counter() - began
    names = list(sys.modules)
    told = {"seconds": took, "modules": len(names), "packages": sorted(_packages(names)), "megabytes": _megabytes()}
    print(json.dumps(told))


def _megabytes() -> float:
    # Imported after counting. `getrusage` would include the parent's memory (Linux keeps it across exec).
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


def _packages(names: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


if __name__ == "__main__":
    _main(sys.argv[1])
