"""The pool's settings: its mode and size, its nodes' capacity and policy, and when it scales.

A `ScalingConfig` is a value. `merge` is the only way in for outside values: it takes some of the settings from
untrusted JSON or query strings, checks the whole, and changes all or nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from elastic_images.core.assignment import ASSIGNMENTS, MAX_NODES, MIN_NODES
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.pool_document import ConfigDocument

Mode = Literal["manual", "auto"]
CachePolicy = Literal["LRU", "RR", "GDSF", "S3FIFO"]
AssignmentName = Literal["alternating", "minimal"]

MODES: tuple[Mode, ...] = ("manual", "auto")
CACHE_POLICIES: tuple[CachePolicy, ...] = get_args(CachePolicy)
MEGABYTE = 1_000_000
MIN_CACHE_MB = 1
MAX_CACHE_MB = 1_000_000
"""1 TB per node: more than any machine for rent has; larger values are typing errors."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?", re.ASCII)
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class ScalingConfig:
    """The pool's settings. The constructor checks nothing (see `check_config`); `merge` gives only checked ones.

    The defaults: at a miss rate above 0.3 storage answers nearly every third request, and doubling the pool is worth
    its cost. Below 0.05, half the nodes are likely to do. The thresholds are far apart, so a pool that has just shrunk
    does not want to grow at once.
    """

    mode: Mode = "manual"
    num_nodes: int = 1
    """The wanted size, 1 to 8."""
    cache_mb: int = 64
    """Capacity of each node, in megabytes of 1,000,000 bytes."""
    policy: CachePolicy = "LRU"
    """What a node evicts first (`core.evictions`)."""
    expand_ratio: float = 2.0
    shrink_ratio: float = 0.5
    max_miss: float = 0.3
    """The pool grows while its miss rate is above this."""
    min_miss: float = 0.05
    """The pool shrinks while its miss rate is below this."""
    assignment: AssignmentName = "alternating"
    """How partitions are assigned to nodes: partition i to node i mod N, or with as few moves as possible."""

    @property
    def cache_bytes(self) -> int:
        """Capacity of each node in bytes."""
        return self.cache_mb * MEGABYTE

    def to_json(self) -> ConfigDocument:
        """As JSON values, by our names."""
        return cast("ConfigDocument", asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> ScalingConfig:
        """Read the output of `to_json`; missing settings get their defaults. Raises InvalidRequest as `merge`."""
        return cls().merge(value)

    def merge(self, partial: Mapping[str, object], names: Mapping[str, str] | None = None) -> ScalingConfig:
        """This config with the settings of `partial` replaced: all of them or, on an error, none.

        `names` maps the caller's names of the settings to ours: `OWN_NAMES` (default) or `COURSE_NAMES`. `partial` and
        all messages use the caller's names. Values are JSON values or their texts.

        Raises:
            InvalidRequest: an unknown name, or an invalid value or combination of values.
        """
        names = OWN_NAMES if names is None else names
        merged = replace(self, **cast("dict[str, Any]", parse_changes(partial, names)))
        check_config(merged, names)
        return merged


OWN_NAMES: Mapping[str, str] = MappingProxyType({name: name for name in ScalingConfig.__dataclass_fields__})
COURSE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "mode": "mode",
        "numNodes": "num_nodes",
        "cacheSize": "cache_mb",
        "policy": "policy",
        "expRatio": "expand_ratio",
        "shrinkRatio": "shrink_ratio",
        "maxMiss": "max_miss",
        "minMiss": "min_miss",
    }
)
"""The course API's name of each setting, mapped to ours."""


def parse_changes(partial: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """The settings in `partial` by our names, each of the right type; their values are not checked any further.

    Raises:
        InvalidRequest: says which name or value is wrong, in the caller's spelling.
    """
    changes: dict[str, object] = {}
    for label, value in partial.items():
        if label not in names:
            raise InvalidRequest(f"There is no setting {_shown(label)}; the settings are {', '.join(names)}.")
        changes[names[label]] = _PARSERS[names[label]](label, value)
    return changes


def check_config(config: ScalingConfig, names: Mapping[str, str] = OWN_NAMES) -> None:
    """Refuse an invalid config.

    Raises:
        InvalidRequest: says which setting is wrong, in the caller's spelling (see `ScalingConfig.merge`).
    """
    label = {ours: theirs for theirs, ours in names.items()}
    _check_choice(label["mode"], config.mode, MODES)
    _check_whole(label["num_nodes"], config.num_nodes, MIN_NODES, MAX_NODES)
    _check_whole(label["cache_mb"], config.cache_mb, MIN_CACHE_MB, MAX_CACHE_MB)
    _check_choice(label["policy"], config.policy, CACHE_POLICIES)
    _check_choice(label.get("assignment", "assignment"), config.assignment, ASSIGNMENTS)
    if not (math.isfinite(config.expand_ratio) and config.expand_ratio > 1):
        raise InvalidRequest(f"{label['expand_ratio']} must be above 1, not {config.expand_ratio:g}.")
    if not 0 < config.shrink_ratio < 1:
        raise InvalidRequest(f"{label['shrink_ratio']} must be between 0 and 1, not {config.shrink_ratio:g}.")
    for name, value in (("max_miss", config.max_miss), ("min_miss", config.min_miss)):
        if not 0 <= value <= 1:
            raise InvalidRequest(f"{label[name]} must be from 0 to 1, not {value:g}.")
    if not config.min_miss < config.max_miss:
        raise InvalidRequest(
            f"{label['min_miss']} ({config.min_miss:g}) must be below {label['max_miss']} ({config.max_miss:g})."
        )


def _check_choice(label: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        *others, last = choices
        raise InvalidRequest(f"{label} must be {', '.join(others)} or {last}, not {_shown(value)}.")


def _check_whole(label: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidRequest(f"{label} must be from {least} to {most}, not {value}.")


def _text(label: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{label} must be a word, not {_shown(value)}.")
    return value


def _whole(label: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**18:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise InvalidRequest(f"{label} must be a whole number, not {_shown(value)}.")


def _number(label: str, value: object) -> float:
    if isinstance(value, str):
        number = float(value) if _NUMBER.fullmatch(value) else math.nan
    else:
        plain = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**18
        number = float(cast("float", value)) if plain else math.nan
    if not math.isfinite(number):
        raise InvalidRequest(f"{label} must be a number, not {_shown(value)}.")
    return number


def _shown(value: object) -> str:
    """The value as quoted in messages, shortened."""
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of that size"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


_PARSERS: Mapping[str, Callable[[str, object], object]] = MappingProxyType(
    {
        "mode": _text,
        "num_nodes": _whole,
        "cache_mb": _whole,
        "policy": _text,
        "expand_ratio": _number,
        "shrink_ratio": _number,
        "max_miss": _number,
        "min_miss": _number,
        "assignment": _text,
    }
)
