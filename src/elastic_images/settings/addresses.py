"""Ports and addresses of the apps."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

BASE_PORTS: Mapping[str, int] = MappingProxyType(
    {"web": 5000, "storage": 5001, "autoscaler": 5002, "manager": 5003, "memcache": 4000}
)
"""Each app's port without an offset; for `memcache`, the port of slot 0."""


def imaging_socket(data: Path) -> Path:
    """Where the imaging broker of the system in this data folder listens."""
    return data / "run" / "imaging.sock"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener bound to `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def reachable_host(host: str) -> str:
    """The address, ready for a URL, at which this machine reaches a listener bound to `host`."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host in ("::", "[::]"):
        return "[::1]"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
