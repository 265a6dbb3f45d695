"""How long tests search for inputs that break a rule.

`ELASTIC_IMAGES_FUZZ=20` searches 20 times as much, with new inputs each time; without it the inputs are always the
same, so that a change is judged by what it changed.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("ELASTIC_IMAGES_FUZZ", "0"))


def fuzz(examples: int) -> settings:
    """For a test that takes about 10 s with so many examples."""
    return settings(
        max_examples=examples * max(TIMES, 1),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
