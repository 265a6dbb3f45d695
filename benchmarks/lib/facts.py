"""The machine and the versions that the figures were measured with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("granian", "Flask", "SQLAlchemy", "pillow")
_ROOT = Path(__file__).resolve().parents[2]


def facts(folder: Path) -> dict[str, Any]:
    """The machine and the versions, as JSON values; `folder` holds the files."""
    return {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": _file_system(folder),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "nginx": first_version(_said(["nginx", "-v"])),
        "memcached": first_version(_said(["memcached", "-V"])),
        "wrk": first_version(_said(["wrk", "-v"])),
        "commit": _said(["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"]).strip(),
        **{name.lower(): importlib.metadata.version(name) for name in _PACKAGES},
    }


def first_version(text: str) -> str:
    """The first thing in `text` that looks like a version; `?` without one."""
    found = re.search(r"\d+\.\d+(\.\d+)*", text)
    return found[0] if found else "?"


def in_one_line(known: Mapping[str, Any]) -> str:
    """The facts as a sentence for under a table."""
    return (
        f"{known['processor']}, {known['cores']} cores, {known['memory_gb']} GB, {known['system']}, "
        f"files on {known['file_system']}; Python {known['python']}, Granian {known['granian']}, "
        f"nginx {known['nginx']}, memcached {known['memcached']}, wrk {known['wrk']}; "
        f"commit {known['commit']}, {known['measured_at'][:10]}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that contains the folder."""
    above = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(above, key=lambda part: len(part.mountpoint)).fstype if above else "?"


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return done.stdout + done.stderr
