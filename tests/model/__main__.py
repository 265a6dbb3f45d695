"""Prints the shortest interleaving to a stale read for each broken rule: `python -m tests.model`."""

from __future__ import annotations

from tests.model.explore import explore
from tests.model.variants import UNSAFE

for name, variant in UNSAFE.items():
    print(f"\n{name}\n{explore(variant.rules, variant.start)}")  # noqa: T201
