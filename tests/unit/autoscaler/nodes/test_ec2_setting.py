from __future__ import annotations

import pytest

from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting
from elastic_images.core.errors import InvalidRequest

PARTS = {
    "ami": "ami-0abc1234",
    "type": "t3.small",
    "subnet": "subnet-0abc1234",
    "security_group": "sg-0abc1234",
    "profile": "elastic-images-node",
    "packages": "s3://my-bucket/packages/",
    "secret": "elastic-images/internal-token",
}


def setting(*more: str, **changes: str | None) -> str:
    parts = {**PARTS, **changes}
    return "ec2://?" + "&".join([*(f"{name}={value}" for name, value in parts.items() if value is not None), *more])


def test_a_whole_setting_is_read() -> None:
    read = parse_ec2_setting(
        setting(
            "subnet=subnet-1abc1234",
            "security_group=sg-1abc1234",
            "key=my key+1",
            "pool=blue",
            "subnet=subnet-0abc1234",
        )
    )
    assert read.subnets == ("subnet-0abc1234", "subnet-1abc1234")
    assert read.security_groups == ("sg-0abc1234", "sg-1abc1234")
    assert (read.packages, read.pool, read.key) == ("s3://my-bucket/packages", "blue", "my key+1")
    assert (read.ami, read.type, read.profile) == ("ami-0abc1234", "t3.small", "elastic-images-node")


def test_what_may_be_left_out() -> None:
    read = parse_ec2_setting(setting(), "green")
    assert (read.pool, read.key) == ("green", None)
    assert parse_ec2_setting(
        setting(secret="arn:aws:secretsmanager:eu-central-1:123456789012:secret:a/b-AbCdEf")
    ).secret


@pytest.mark.parametrize("name", list(PARTS))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} is missing"):
        parse_ec2_setting(setting(**{name: None}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (setting(ami="0abc1234"), "ami is an image's id"),
        (setting(ami=""), "ami is an image's id"),
        (setting(subnet="sg-0abc1234"), "subnet is a subnet's id"),
        (setting(profile="arn:aws:iam::1:instance-profile/x"), "profile is the name"),
        (setting(packages="my-bucket/packages"), "packages is s3://"),
        (setting(secret="a b"), "secret is the name"),
        (setting(secret="$(reboot)"), "secret is the name"),
        (setting(packages="s3://bucket/$(reboot)"), "packages is s3://"),
        (setting(pool="a b"), "pool is up to 64"),
        (setting("ami=ami-0abc1235"), "ami is given twice"),
        (setting("market=spot"), "there is no parameter market"),
        ("ec2://eu-central-1?" + setting().partition("?")[2], "parameters and nothing else"),
        ("ec2://", "ami is missing"),
        (setting(*(f"subnet=subnet-{number:08x}" for number in range(17))), "more than 16 subnets"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse_ec2_setting(text)
