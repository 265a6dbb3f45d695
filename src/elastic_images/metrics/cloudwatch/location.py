"""Where a system's metrics are in CloudWatch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from elastic_images.core.errors import InvalidRequest

_SCHEME = "cloudwatch://"
_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)
_LONGEST_NAMESPACE = 255


@dataclass(frozen=True, slots=True)
class Location:
    """A namespace and a pool in it."""

    namespace: str
    pool: str

    @property
    def name(self) -> str:
        """Prefix for the names of its dashboard and alarms."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", f"{self.namespace}-{self.pool}")

    def dimensions(self, slot: str | None) -> list[dict[str, str]]:
        """The dimensions of a slot's series, or of the whole pool's."""
        found = [{"Name": "Pool", "Value": self.pool}]
        return found if slot is None else [*found, {"Name": "Slot", "Value": slot}]


def is_cloudwatch(setting: str) -> bool:
    """Whether the metrics setting names CloudWatch."""
    return setting.lower().startswith(_SCHEME)


def location_of(setting: str, pool: str) -> Location:
    """Parse `cloudwatch://NAMESPACE`.

    Raises:
        InvalidRequest: the setting is not such a URL.
    """
    namespace = setting[len(_SCHEME) :] if is_cloudwatch(setting) else ""
    if len(namespace) > _LONGEST_NAMESPACE or not _NAMESPACE.fullmatch(namespace):
        raise InvalidRequest(
            "Metrics in CloudWatch need cloudwatch://NAMESPACE, where NAMESPACE has letters, digits and . _ - / and "
            "does not start with AWS/. boto3 finds the region and credentials."
        )
    return Location(namespace, pool)
