"""A sample: what one process counted between two moments, and its JSON form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypedDict, cast

from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.errors import InvalidRequest

Kind = Literal["node", "web"]

MAX_SAMPLES_IN_A_BATCH = 1000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LARGEST_COUNT = 2**53 - 1
_LATEST_TIME = 1e11


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts from `started_at` to `ended_at` (seconds since the epoch), and gauges at `ended_at`."""

    id: str
    """Unique: a sample published twice counts once."""
    source: str
    """The member id: `node-<slot>` or `web-<number>-<random>`."""
    kind: Kind
    slot: int | None
    started_at: float
    ended_at: float
    requests: int = 0
    hits: int = 0
    misses: int = 0
    evictions: int = 0
    bypasses: int = 0
    items: int = 0
    used_bytes: int = 0
    capacity_bytes: int = 0

    def to_json(self) -> dict[str, str | float | None]:
        """As plain JSON values, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Sample:
        """Parse the result of `to_json`, possibly from a process of another version.

        Raises:
            InvalidRequest: a field is missing, unknown or invalid.
        """
        if not isinstance(value, Mapping) or value.keys() != _CHECKS.keys():
            raise InvalidRequest(f"A sample must have exactly the fields {', '.join(_CHECKS)}.")
        for name, is_right in _CHECKS.items():
            if not is_right(value[name]):
                raise InvalidRequest(f"The sample's {name} is invalid.")
        if value["ended_at"] < value["started_at"]:
            raise InvalidRequest("The sample ends before it starts.")
        return cls(**cast("dict[str, Any]", value))


class SampleBatch(TypedDict):
    """The body of `POST /internal/metrics`."""

    samples: list[dict[str, str | float | None]]


def batch_to_json(samples: Sequence[Sample]) -> SampleBatch:
    """The body of `POST /internal/metrics`."""
    return {"samples": [sample.to_json() for sample in samples]}


def batch_from_json(value: object) -> list[Sample]:
    """The samples in the body of `POST /internal/metrics`. Raises InvalidRequest if it or a sample is invalid."""
    found = value.get("samples") if isinstance(value, Mapping) else None
    if not isinstance(found, list) or len(found) > MAX_SAMPLES_IN_A_BATCH:
        raise InvalidRequest(f'A batch must be {{"samples": [...]}} with at most {MAX_SAMPLES_IN_A_BATCH} samples.')
    return [Sample.from_json(sample) for sample in found]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST_TIME


def _is_slot(value: object) -> bool:
    return value is None or (_is_count(value) and cast("int", value) < MAX_NODES)


_CHECKS: Mapping[str, Callable[[object], bool]] = {field.name: _is_count for field in fields(Sample)} | {
    "id": _is_name,
    "source": _is_name,
    "kind": lambda value: value in ("node", "web"),
    "slot": _is_slot,
    "started_at": _is_time,
    "ended_at": _is_time,
}
