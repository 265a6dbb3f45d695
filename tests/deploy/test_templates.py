"""What the templates say: checked by cfn-lint, small enough, and no more open than they must be."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cfnlint.api import lint_file
from tests.deploy.stacks import FOLDER, ROOT, resources, template, texts

from elastic_images.front.limits import Limits
from elastic_images.settings.addresses import BASE_PORTS
from elastic_images.settings.definitions import SETTINGS

TEMPLATES = ("bucket.yaml", "system.yaml")
MOST_BYTES_WITHOUT_A_BUCKET = 51_200
"""So much `aws cloudformation deploy` takes by itself; a larger template would have to be put into a bucket first."""
EPHEMERAL = (32_768, 60_999)
"""Linux's default `net.ipv4.ip_local_port_range`: where control listeners are bound."""


def embed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_embed", FOLDER / "embed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", TEMPLATES)
def test_cfn_lint_has_nothing_to_say(name: str) -> None:
    assert [str(found) for found in lint_file(FOLDER / name)] == []


def test_cfn_lint_would_say_something(tmp_path: Path) -> None:
    broken = (FOLDER / "bucket.yaml").read_text().replace("BlockPublicAcls", "BlockPublicAcl")
    (tmp_path / "broken.yaml").write_text(broken)
    assert lint_file(tmp_path / "broken.yaml") != []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_check_of_cfn_lint_is_ignored_only_with_its_reason(name: str) -> None:
    lines = (FOLDER / name).read_text().splitlines()
    for number, line in enumerate(lines):
        if "ignore_checks" in line:
            assert re.search(r"Metadata: # \w+", lines[number - 1]), line


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_can_be_deployed_without_a_bucket_for_it(name: str) -> None:
    assert len((FOLDER / name).read_bytes()) < MOST_BYTES_WITHOUT_A_BUCKET


def test_the_boot_script_in_the_template_is_the_one_beside_it() -> None:
    written = (FOLDER / "system.yaml").read_text()
    assert embed().embedded(written) == written, "run: python deploy/aws/embed.py"
    text = template("system.yaml")["Mappings"]["Boot"]["Script"]["Text"]
    assert text == embed().boot_script()
    for file in ("deploy/aws/refresh", "deploy/aws/aws.conf", "deploy/systemd/elastic-images.service"):
        assert (ROOT / file).read_text() in text


# ---- Who may talk to whom -------------------------------------------------------------------------------------------


def rules(direction: str) -> set[tuple[str, str, Any, Any]]:
    """Rules between groups: source, destination, first and last port."""
    found = set()
    for rule in resources("system.yaml", f"AWS::EC2::SecurityGroup{direction}").values():
        other = rule["SourceSecurityGroupId" if direction == "Ingress" else "DestinationSecurityGroupId"]["Ref"]
        mine = rule["GroupId"]["Ref"]
        source, destination = (other, mine) if direction == "Ingress" else (mine, other)
        ports = [port if isinstance(port, int) else "the engine's" for port in (rule["FromPort"], rule["ToPort"])]
        found.add((source, destination, *ports))
        assert rule["IpProtocol"] == "tcp"
        assert "CidrIp" not in rule
    return found


def test_only_those_talk_who_must() -> None:
    nodes = (BASE_PORTS["memcache"], BASE_PORTS["memcache"] + 7)
    expected = {
        ("LoadBalancerGroup", "FrontGroup", BASE_PORTS["web"], BASE_PORTS["web"]),
        ("FrontGroup", "NodeGroup", *nodes),
        ("FrontGroup", "NodeGroup", *EPHEMERAL),
        ("NodeGroup", "NodeGroup", *nodes),
        ("NodeGroup", "FrontGroup", BASE_PORTS["storage"], BASE_PORTS["autoscaler"]),
        ("FrontGroup", "FrontGroup", BASE_PORTS["autoscaler"], BASE_PORTS["autoscaler"]),
        ("FrontGroup", "FrontGroup", *EPHEMERAL),
        ("FrontGroup", "DatabaseGroup", "the engine's", "the engine's"),
    }
    assert BASE_PORTS["autoscaler"] == BASE_PORTS["storage"] + 1
    assert rules("Ingress") == expected
    assert rules("Egress") == expected


def test_nothing_but_the_load_balancer_lets_the_world_in() -> None:
    for name, group in resources("system.yaml", "AWS::EC2::SecurityGroup").items():
        open_ports = {(rule["FromPort"], rule["ToPort"]) for rule in group.get("SecurityGroupIngress", [])}
        assert open_ports == ({(80, 80), (443, 443)} if name == "LoadBalancerGroup" else set())


def test_every_group_says_where_it_may_go() -> None:
    # A group without a rule of its own for the way out gets one from AWS that allows everything.
    for group in resources("system.yaml", "AWS::EC2::SecurityGroup").values():
        (way_out,) = group["SecurityGroupEgress"]
        assert (way_out.get("FromPort"), way_out["CidrIp"]) in {(443, "0.0.0.0/0"), (None, "127.0.0.1/32")}


def test_the_manager_and_the_database_are_behind_no_listener() -> None:
    (targets,) = resources("system.yaml", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert targets["Port"] == BASE_PORTS["web"]
    (database,) = resources("system.yaml", "AWS::RDS::DBInstance").values()
    assert database["PubliclyAccessible"] is False
    assert database["VPCSecurityGroups"] == [{"Ref": "DatabaseGroup"}]


# ---- Instances, data, secrets ---------------------------------------------------------------------------------------


def launches() -> dict[str, dict[str, Any]]:
    fronts = resources("system.yaml", "AWS::EC2::Instance")
    templates = resources("system.yaml", "AWS::EC2::LaunchTemplate")
    return fronts | {name: launch["LaunchTemplateData"] for name, launch in templates.items()}


def test_every_launch_wants_imdsv2_an_encrypted_disk_and_no_key() -> None:
    assert len(launches()) == 2
    for launch in launches().values():
        assert launch["MetadataOptions"]["HttpTokens"] == "required"
        assert launch["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert all(device["Ebs"]["Encrypted"] is True for device in launch["BlockDeviceMappings"])
        assert "KeyName" not in launch


def test_no_secret_is_in_user_data_or_in_a_parameter() -> None:
    secrets = resources("system.yaml", "AWS::SecretsManager::Secret")
    assert secrets.keys() == {"InternalToken", "SecretKey", "AdminPassword", "DatabasePassword"}
    for secret in secrets.values():
        assert secret["GenerateSecretString"]["PasswordLength"] >= 24
        assert "SecretString" not in secret
    for launch in launches().values():
        for text in texts(launch["UserData"]):
            assert not any(name in text for name in secrets)
            assert "resolve:" not in text
    for name, parameter in template("system.yaml")["Parameters"].items():
        assert not re.search("password|secret|token", name, re.IGNORECASE), parameter


def test_only_the_database_is_given_a_secrets_content() -> None:
    with_content = [
        name
        for name, resource in template("system.yaml")["Resources"].items()
        if any("resolve:secretsmanager" in text for text in texts(resource))
    ]
    assert with_content == ["Database"]


def test_data_outlive_the_stacks() -> None:
    bucket = template("bucket.yaml")["Resources"]
    assert all(resource["DeletionPolicy"] == "Retain" for resource in bucket.values())
    assert all(resource["UpdateReplacePolicy"] == "Retain" for resource in bucket.values())
    database = template("system.yaml")["Resources"]["Database"]
    assert (database["DeletionPolicy"], database["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    assert database["Properties"]["StorageEncrypted"] is True
    assert database["Properties"]["DeletionProtection"] == {"Ref": "DatabaseDeletionProtection"}
    assert template("system.yaml")["Parameters"]["DatabaseDeletionProtection"]["Default"] == "true"


def test_the_bucket_is_closed_to_the_public_and_keeps_what_is_in_it() -> None:
    (bucket,) = resources("bucket.yaml", "AWS::S3::Bucket").values()
    blocked = bucket["PublicAccessBlockConfiguration"]
    assert blocked == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule.keys() == {"Id", "Status", "AbortIncompleteMultipartUpload"}  # no image ever expires
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_the_bucket_is_reached_by_tls_only() -> None:
    (policy,) = resources("bucket.yaml", "AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2  # the bucket and what is in it


# ---- The load balancer and the settings -----------------------------------------------------------------------------


def test_the_load_balancer_closes_idle_connections_before_web_does() -> None:
    (balancer,) = resources("system.yaml", "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    attributes = {attribute["Key"]: attribute["Value"] for attribute in balancer["LoadBalancerAttributes"]}
    assert 70 <= float(attributes["idle_timeout.timeout_seconds"]) <= Limits().idle_seconds - 10


def test_there_is_one_front_and_so_one_autoscaler() -> None:
    (front,) = resources("system.yaml", "AWS::EC2::Instance").values()
    # An interface that exists belongs to one instance at a time: a second front could not be started.
    assert front["NetworkInterfaces"] == [{"DeviceIndex": "0", "NetworkInterfaceId": {"Ref": "FrontInterface"}}]


def test_every_setting_is_one() -> None:
    (settings,) = resources("system.yaml", "AWS::SSM::Parameter").values()
    scripts = [*texts(settings["Value"]), (FOLDER / "refresh").read_text()]
    named = set(re.findall(r"ELASTIC_IMAGES_\w+", "\n".join(scripts)))
    known = {setting.environment for setting in SETTINGS}
    assert named <= known | {f"{setting.environment}_FILE" for setting in SETTINGS if setting.from_file}
    assert len(named) > 12
