"""The protocol explored whole, in small worlds: safe as it is, and unsafe with any of its rules broken."""

from __future__ import annotations

import pytest
from tests.model.explore import explore
from tests.model.variants import SAFE, UNSAFE, Variant


@pytest.mark.parametrize("variant", SAFE.values(), ids=SAFE.keys())
def test_no_interleaving_shows_old_bytes(variant: Variant) -> None:
    explored = explore(variant.rules, variant.start)
    assert explored.stale is None, f"\n{explored}"
    assert explored.worlds > 300


@pytest.mark.parametrize("variant", UNSAFE.values(), ids=UNSAFE.keys())
def test_each_broken_rule_is_found_out(variant: Variant) -> None:
    explored = explore(variant.rules, variant.start)
    assert explored.stale is not None
    print(explored)  # noqa: T201 - the shortest interleaving: pytest -s, or python -m tests.model
    assert variant.early or "ACKNOWLEDGED" in " ".join(explored.trace)
