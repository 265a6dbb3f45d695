"""Which key is asked for next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random

ZIPF_EXPONENT = 1.0
DRAWS = 100_000
"""How many requests are drawn before they repeat: several per key of the largest working set."""


def keys_for(label: str, count: int) -> list[str]:
    """The keys of a working set, the hottest first."""
    return [f"bench/{label}/{number:06d}" for number in range(count)]


def uniform(keys: Sequence[str], draws: int, random: Random) -> list[str]:
    """Every key equally likely."""
    return random.choices(keys, k=draws)


def zipf(keys: Sequence[str], draws: int, random: Random, exponent: float = ZIPF_EXPONENT) -> list[str]:
    """The key of rank r in proportion to r ** -exponent, like requests on the web (Breslau et al., 1999)."""
    weights = accumulate(rank**-exponent for rank in range(1, len(keys) + 1))
    return random.choices(keys, cum_weights=list(weights), k=draws)
