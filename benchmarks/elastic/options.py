"""What is measured, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds."""

    images: int = 5000
    node_share: float = 0.12
    """Of all images' bytes, what one node holds."""
    sizes: tuple[int, ...] = (4, 5, 4, 8, 7, 1, 8)
    requests_per_second: float = 150.0
    before_seconds: float = 20.0
    after_seconds: float = 25.0
    rest_requests: int = 25_000
    """How many requests, sent as fast as possible, bring the caches to a steady state before each resize."""
    seed: int = 1
    renditions: bool = False
    """Whether renditions are asked for, and not the images."""
    assignment: str = "alternating"
    warm_bytes_per_second: int | None = None
    """None: the system's default."""
    compare_without_warming: bool = True
    lose_nodes: bool = True
    """Whether to kill a node and hang another at the end."""
    folder: Path | None = None
    """Where the running system keeps its data; None: the machine's temporary folder."""


QUICK = Options(
    images=400,
    sizes=(3, 4, 2),
    requests_per_second=100.0,
    before_seconds=4.0,
    after_seconds=11.0,
    rest_requests=2500,
    compare_without_warming=False,
)
"""A short run for the tests: too short for latencies to mean anything."""

RENDITIONS = Options(
    images=1500,
    sizes=(4, 5, 4),
    requests_per_second=60.0,
    rest_requests=6000,
    compare_without_warming=False,
    lose_nodes=False,
    renditions=True,
)
"""Making one takes 10 ms of processor, and a fifth of the requests miss."""
