"""Parses the setting `ec2://?ami=...&type=...`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from elastic_images.core.errors import InvalidRequest

EXAMPLE = (
    "ec2://?ami=ami-...&type=t3.small&subnet=subnet-...&security_group=sg-...&profile=NAME"
    "&packages=s3://BUCKET/PREFIX&secret=NAME"
)
_MAX_SUBNETS = 16

_PATTERNS: Mapping[str, tuple[str, str]] = {
    "ami": (r"ami-[0-9a-f]{8,17}", "an image's id, as ami-0abc1234"),
    "type": (r"[a-z0-9-]+\.[a-z0-9-]+", "an instance type, as t3.small"),
    "subnet": (r"subnet-[0-9a-f]{8,17}", "a subnet's id, as subnet-0abc1234"),
    "security_group": (r"sg-[0-9a-f]{8,17}", "a security group's id, as sg-0abc1234"),
    "key": (r"[\x20-\x7e]{1,255}", "the name of a key pair"),
    "profile": (r"[\w+=,.@-]{1,128}", "the name of an instance profile (not its ARN)"),
    "packages": (r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w./+=@-]*)?", "s3://BUCKET/PREFIX"),
    "secret": (r"[\w/+=.@:!-]{1,512}", "the name or the ARN of a secret"),
    "pool": (r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "up to 64 letters, digits, and . _ -"),
}
_SEVERAL = ("subnet", "security_group")
_OPTIONAL = ("key", "pool")


@dataclass(frozen=True, slots=True)
class Ec2Setting:
    """How to launch a node."""

    ami: str
    type: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    profile: str
    packages: str
    """`s3://bucket/prefix`, without a trailing slash. It has a folder for each version."""
    secret: str
    pool: str
    """Distinguishes this pool's instances from other pools'."""
    key: str | None = None


def parse_ec2_setting(text: str, pool: str = "default") -> Ec2Setting:
    """Parse the setting; `pool` is the default name.

    Raises:
        InvalidRequest: says which parameter is missing, unknown, repeated or malformed, and what is expected.
    """
    given = _parameters(text)
    for name in _PATTERNS:
        if name not in given and name not in _OPTIONAL:
            raise _wrong(f"{name} is missing: {_PATTERNS[name][1]}")
    one = {name: values[0] for name, values in given.items()}
    return Ec2Setting(
        ami=one["ami"],
        type=one["type"],
        subnets=tuple(given["subnet"]),
        security_groups=tuple(given["security_group"]),
        profile=one["profile"],
        packages=one["packages"].rstrip("/"),
        secret=one["secret"],
        pool=one.get("pool", pool),
        key=one.get("key"),
    )


def _parameters(text: str) -> dict[str, list[str]]:
    parts = urlsplit(text)
    if parts.scheme != "ec2" or parts.netloc or parts.path.strip("/") or parts.fragment:
        raise _wrong("it has parameters and nothing else; region and credentials are boto3's affair")
    given: dict[str, list[str]] = {}
    # A plus sign stands for itself: names of profiles and secrets may have one.
    for name, value in parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True):
        if name not in _PATTERNS:
            raise _wrong(f"there is no parameter {name}; there are {', '.join(_PATTERNS)}")
        pattern, wanted = _PATTERNS[name]
        if not re.fullmatch(pattern, value, re.ASCII):
            raise _wrong(f"{name} is {wanted}, not {value!r}")
        values = given.setdefault(name, [])
        if values and name not in _SEVERAL:
            raise _wrong(f"{name} is given twice")
        if value not in values:
            values.append(value)
    if len(given.get("subnet", ())) > _MAX_SUBNETS:
        raise _wrong(f"there are more than {_MAX_SUBNETS} subnets")
    return given


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"The node provider ec2://: {what}. In whole: {EXAMPLE}")
