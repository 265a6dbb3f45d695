"""Where in CloudWatch a system's figures are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from elastic_images.core.errors import InvalidRequest

_SCHEME = "cloudwatch://"
_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)
_LONGEST_NAMESPACE = 255


@dataclass(frozen=True, slots=True)
class Location:
    """A namespace, and the pool in it."""

    namespace: str
    pool: str

    @property
    def name(self) -> str:
        """For what is made for it: a dashboard, alarms."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", f"{self.namespace}-{self.pool}")

    def dimensions(self, slot: str | None) -> list[dict[str, str]]:
        """Of the series of one slot, or of the whole pool."""
        found = [{"Name": "Pool", "Value": self.pool}]
        return found if slot is None else [*found, {"Name": "Slot", "Value": slot}]


def is_cloudwatch(setting: str) -> bool:
    """Whether the metrics setting names CloudWatch."""
    return setting.lower().startswith(_SCHEME)


def location_of(setting: str, pool: str) -> Location:
    """What `cloudwatch://NAMESPACE` and the pool's name say.

    Raises:
        InvalidRequest: the setting is no such URL.
    """
    namespace = setting[len(_SCHEME) :] if is_cloudwatch(setting) else ""
    if len(namespace) > _LONGEST_NAMESPACE or not _NAMESPACE.fullmatch(namespace):
        raise InvalidRequest(
            "Metrics in CloudWatch are set as cloudwatch://NAMESPACE: a name of letters, digits and . _ - /, which "
            "does not begin with AWS/. Region and credentials are found by boto3."
        )
    return Location(namespace, pool)
