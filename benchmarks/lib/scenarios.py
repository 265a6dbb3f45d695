"""What is asked for: each scenario is measured at every target, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

SIZES: Mapping[str, int] = {"10KB": 10_000, "100KB": 100_000, "1MB": 1_000_000}
"""Bytes of an image, by the label used in names and tables."""

GROUPS = ("read", "304", "private", "upload", "nodes", "miss")
"""In the order in which they are measured: misses last, because they need caches that hold nothing."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to measure."""

    group: str
    keys: str
    """`hot`: one key; `64`: so many keys, each as likely; `zipf`: a working set larger than the near cache, by
    popularity; `walk`: the whole working set, one key after the other; `new`: keys that do not exist yet."""
    size: str
    connections: int

    @property
    def name(self) -> str:
        """What `--only` is matched with: `read/zipf/100KB/16`."""
        return f"{self.group}/{self.keys}/{self.size}/{self.connections}"

    @property
    def size_bytes(self) -> int:
        """Bytes of an image, about."""
        return SIZES[self.size]


def every_scenario() -> list[Scenario]:
    """All of them, in the order in which they are measured."""
    return [
        *_product("read", ("hot", "64", "zipf"), SIZES, (1, 16, 64)),
        *_product("304", ("hot",), ("10KB",), (1, 16, 64)),
        *_product("private", ("hot",), ("10KB", "100KB"), (16, 64)),
        *_product("upload", ("new",), SIZES, (1, 16)),
        *_product("nodes", ("hot", "zipf"), SIZES, (1, 16)),
        *_product("miss", ("walk",), SIZES, (1, 16)),
    ]


def quick_scenarios() -> list[Scenario]:
    """A few of them: enough to see that everything works."""
    return [
        *_product("read", ("hot", "zipf"), ("10KB",), (16,)),
        *_product("304", ("hot",), ("10KB",), (16,)),
        *_product("private", ("hot",), ("10KB",), (16,)),
        *_product("upload", ("new",), ("100KB",), (16,)),
        *_product("nodes", ("zipf",), ("10KB",), (16,)),
        *_product("miss", ("walk",), ("10KB",), (16,)),
    ]


def _product(group: str, keys: Iterable[str], sizes: Iterable[str], connections: Iterable[int]) -> list[Scenario]:
    return [Scenario(group, *one) for one in product(keys, sizes, connections)]
