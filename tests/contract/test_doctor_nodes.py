"""What `elastic-images doctor` says of nodes on EC2, on moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.ec2_stand_ins import FakeEc2
from testing.settings import make_settings
from tests.contract.ec2_nodes import Ec2Nodes

from elastic_images import __version__
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.doctor.nodes import check_nodes

SECRET = "elastic-images/doctor"


@pytest.fixture
def nodes(simple_ec2: FakeEc2, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2Nodes]:
    with Ec2Nodes.on(simple_ec2, monkeypatch) as made:
        yield made


def findings(nodes: Ec2Nodes, data: Path, internal_host: str = "0.0.0.0", **changes: str) -> list[Finding]:
    setting = nodes.ec2.setting(pool=nodes.pool, **changes)
    settings = make_settings(data, node_provider=setting, advertise="10.0.0.4", internal_host=internal_host)
    return list(check_nodes(settings))


def bad(found: list[Finding]) -> list[str]:
    return [f"{one.what} -> {one.mend}" for one in found if one.state == BAD]


def test_local_nodes_need_no_look(tmp_path: Path) -> None:
    assert list(check_nodes(make_settings(tmp_path))) == []


def test_what_is_all_there_is_fine_and_what_is_not_is_named(nodes: Ec2Nodes, tmp_path: Path) -> None:
    s3, secrets = nodes.ec2.client("s3"), nodes.ec2.client("secretsmanager")
    bucket = f"doctor-{nodes.pool}"
    place = f"s3://{bucket}/packages"
    s3.create_bucket(Bucket=bucket)
    found = bad(findings(nodes, tmp_path, packages=place, secret=SECRET))
    assert [what for what in found if "the secret" in what and "create-secret" in what]
    assert [what for what in found if f"-> elastic-images aws push --to {place}" in what]
    assert len(found) == 2
    secrets.create_secret(Name=SECRET, SecretString="x")
    s3.put_object(Bucket=bucket, Key=f"packages/{__version__}/SHA256SUMS", Body=b"")
    whole = findings(nodes, tmp_path, packages=place, secret=SECRET)
    assert {one.state for one in whole} == {OK}, whole
    assert nodes.ec2.instances() == [], "nothing was launched"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ami": "ami-00000000"}, "the image ami-00000000"),
        ({"security_group": "sg-00000000"}, "the security groups sg-00000000"),
        ({"profile": "nobody"}, "the instance profile nobody"),
    ],
    ids=str,
)
def test_what_is_not_there_is_named(nodes: Ec2Nodes, tmp_path: Path, changes: dict[str, str], words: str) -> None:
    found = bad(findings(nodes, tmp_path, **changes))
    assert [what for what in found if words in what], found


def test_a_launch_that_would_be_refused_is_told(nodes: Ec2Nodes, tmp_path: Path) -> None:
    nodes.ec2.refusals["RunInstances"] = [("UnauthorizedOperation", "")]
    nodes.ec2.refusals["DescribeSubnets"] = [("UnauthorizedOperation", "")]
    found = findings(nodes, tmp_path)
    assert [what for what in bad(found) if "an instance could not be launched" in what and "iam:PassRole" in what]
    assert [one for one in found if one.state == NOTE and "the subnets" in one.what], "not needed to run"


def test_a_setting_that_cannot_work_is_told(nodes: Ec2Nodes, tmp_path: Path) -> None:
    (one,) = findings(nodes, tmp_path, internal_host="127.0.0.1")
    assert (one.state, "listen on 127.0.0.1 only" in one.what) == (BAD, True)
    (one,) = list(check_nodes(make_settings(tmp_path, node_provider="ec2://?ami=x")))
    assert "ami is an image's id" in one.what
