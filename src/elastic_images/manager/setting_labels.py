"""What people read for each of the pool's settings: in forms, in error messages and in the event log."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from elastic_images.core.events import SettingChange
from elastic_images.ui import shown_percent

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "mode": "Mode",
        "num_nodes": "Number of nodes",
        "cache_mb": "Capacity",
        "policy": "Eviction",
        "assignment": "Assignment",
        "expand_ratio": "Expand ratio",
        "shrink_ratio": "Shrink ratio",
        "max_miss": "Maximum miss rate",
        "min_miss": "Minimum miss rate",
    }
)
NAMES: Mapping[str, str] = MappingProxyType({label: name for name, label in LABELS.items()})
"""The settings by their labels."""
_RATES = ("max_miss", "min_miss")


def shown_change(name: str, change: SettingChange) -> str:
    """A change of a setting: `Capacity: 64 MB → 128 MB`."""
    return f"{LABELS.get(name, name)}: {_shown(name, change['before'])} → {_shown(name, change['after'])}"


def _shown(name: str, value: object) -> str:
    if name in _RATES and isinstance(value, int | float):
        return shown_percent(value)
    return f"{value} MB" if name == "cache_mb" else str(value)
