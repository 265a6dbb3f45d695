"""Creates, updates and deletes a pool's dashboard and alarms in CloudWatch. Leaves unchanged ones alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from elastic_images.metrics.cloudwatch.errors import GONE, CloudWatchError, as_ours
from elastic_images.metrics.cloudwatch.reader import CloudWatchService

Outcome = Literal["made", "changed", "unchanged", "deleted", "absent"]


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The result for one dashboard or alarm."""

    kind: Literal["dashboard", "alarm"]
    name: str
    outcome: Outcome

    def to_json(self) -> dict[str, str]:
        """As plain JSON values."""
        return asdict(self)


class Provisioner:
    """Makes the changes. Every method may raise Unavailable or InvalidRequest; call it again to resume."""

    def __init__(self, service: CloudWatchService) -> None:
        self._service = service

    def keep_dashboard(self, name: str, body: Mapping[str, Any]) -> Provisioned:
        """Create or update the dashboard."""
        with _our_errors():
            kept = self._dashboard(name)
            if kept == body:
                return Provisioned("dashboard", name, "unchanged")
            self._service.call("PutDashboard", DashboardName=name, DashboardBody=json.dumps(body))
            return Provisioned("dashboard", name, "made" if kept is None else "changed")

    def delete_dashboard(self, name: str) -> Provisioned:
        """Delete the dashboard, if it exists."""
        with _our_errors():
            if self._dashboard(name) is None:
                return Provisioned("dashboard", name, "absent")
            self._service.call("DeleteDashboards", DashboardNames=[name])
            return Provisioned("dashboard", name, "deleted")

    def keep_alarms(self, wanted: Sequence[Mapping[str, Any]], notify: Sequence[str] | None) -> list[Provisioned]:
        """Create or update the alarms. `notify` are their topics; None keeps those they have."""
        with _our_errors():
            kept = self._alarms([alarm["AlarmName"] for alarm in wanted])
            return [self._keep_alarm(alarm, kept.get(alarm["AlarmName"]), notify) for alarm in wanted]

    def delete_alarms(self, names: Sequence[str]) -> list[Provisioned]:
        """Delete those that exist."""
        with _our_errors():
            kept = self._alarms(names)
            if kept:
                self._service.call("DeleteAlarms", AlarmNames=sorted(kept))
            return [Provisioned("alarm", name, "deleted" if name in kept else "absent") for name in names]

    def _keep_alarm(
        self, alarm: Mapping[str, Any], kept: Mapping[str, Any] | None, notify: Sequence[str] | None
    ) -> Provisioned:
        before = kept or {}
        told = {
            action: list(before.get(action, []) if notify is None else notify)
            for action in ("AlarmActions", "OKActions")
        }
        wanted = {**alarm, **told}
        if kept is not None and _is_within(wanted, kept):
            return Provisioned("alarm", alarm["AlarmName"], "unchanged")
        self._service.call("PutMetricAlarm", **wanted)
        return Provisioned("alarm", alarm["AlarmName"], "made" if kept is None else "changed")

    def _dashboard(self, name: str) -> Any:
        try:
            return json.loads(self._service.call("GetDashboard", DashboardName=name)["DashboardBody"])
        except CloudWatchError as trouble:
            if trouble.code in GONE:
                return None
            raise

    def _alarms(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        answer = self._service.call("DescribeAlarms", AlarmNames=list(names), AlarmTypes=["MetricAlarm"])
        return {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}


def _is_within(wanted: Any, found: Any) -> bool:
    """Whether `found` has everything in `wanted`; it may have more."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_is_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(found or []) and all(
            _is_within(one, other) for one, other in zip(wanted, found or [], strict=True)
        )
    return bool(wanted == found)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except CloudWatchError as trouble:
        raise as_ours(trouble) from None
