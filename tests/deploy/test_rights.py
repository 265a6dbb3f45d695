"""What each role may do is what the code and the scripts ask of AWS: no more, and no less."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.stacks import FOLDER, ROOT, resources

SOURCE = ROOT / "src" / "elastic_images"
RIGHTS = {
    "s3": {
        "PutObject": {"s3:PutObject"},
        "CreateMultipartUpload": {"s3:PutObject"},
        "UploadPart": {"s3:PutObject"},
        "CompleteMultipartUpload": {"s3:PutObject"},
        "AbortMultipartUpload": {"s3:AbortMultipartUpload"},
        "GetObject": {"s3:GetObject"},
        "HeadObject": {"s3:GetObject"},
        "CopyObject": {"s3:GetObject", "s3:PutObject"},
        "HeadBucket": {"s3:ListBucket"},
        "ListObjectsV2": {"s3:ListBucket"},
        "ListMultipartUploads": {"s3:ListBucketMultipartUploads"},
        "ListParts": {"s3:ListMultipartUploadParts"},
        "DeleteObject": {"s3:DeleteObject"},
        "DeleteObjects": {"s3:DeleteObject"},
    },
    "cloudwatch": {
        "PutMetricData": {"cloudwatch:PutMetricData"},
        "GetMetricData": {"cloudwatch:GetMetricData"},
    },
    "ec2": {
        "DescribeInstances": {"ec2:DescribeInstances"},
        "DescribeImages": {"ec2:DescribeImages"},
        "RunInstances": {"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"},
        "TerminateInstances": {"ec2:TerminateInstances"},
    },
    "aws": {
        "ssm get-parameter": {"ssm:GetParameter"},
        "secretsmanager get-secret-value": {"secretsmanager:GetSecretValue"},
        "s3 cp": {"s3:ListBucket", "s3:GetObject"},  # --recursive
    },
}
"""What a call needs, by Amazon's service authorization reference."""
SESSION_MANAGER = {
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
WITHOUT_RESOURCES = SESSION_MANAGER | {
    "cloudwatch:PutMetricData",
    "cloudwatch:GetMetricData",
    "ec2:DescribeInstances",
    "ec2:DescribeImages",
}
"""For these AWS takes no other resource than *."""


def operations(service: str, files: Iterable[Path]) -> set[str]:
    """The service's operations that are named in the code, as `RunInstances` or `run_instances`."""
    import botocore.session
    from botocore import xform_name

    names = botocore.session.get_session().get_service_model(service).operation_names
    spelled = {name: name for name in names} | {xform_name(name): name for name in names}
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in spelled:
                found.add(spelled[node.value])
            elif isinstance(node, ast.Attribute) and node.attr in spelled:
                found.add(spelled[node.attr])
    return found


def in_code(service: str) -> set[str]:
    adapters = {
        "s3": (SOURCE / "storage" / "objects" / "s3").glob("*.py"),
        # People create dashboards and alarms, with their own rights.
        "cloudwatch": set((SOURCE / "metrics" / "cloudwatch").glob("*.py"))
        - {SOURCE / "metrics" / "cloudwatch" / "provisioning.py"},
        "ec2": (SOURCE / "autoscaler" / "nodes" / "ec2").glob("*.py"),
    }
    return operations(service, adapters[service])


def in_script(file: Path) -> set[str]:
    """The calls of AWS's command line, such as `s3 cp`."""
    return set(re.findall(r"\baws (\w+ [\w-]+)", file.read_text(encoding="utf-8")))


def needed(**calls: Iterable[str]) -> set[str]:
    """The rights for calls, by service."""
    return {right for service, names in calls.items() for name in names for right in RIGHTS[service][name]}


def statements(role: str) -> Iterator[dict[str, Any]]:
    policies = resources("system.yaml", "AWS::IAM::ManagedPolicy")
    properties = resources("system.yaml", "AWS::IAM::Role")[role]
    for attached in properties.get("ManagedPolicyArns", []):
        yield from policies[attached["Ref"]]["PolicyDocument"]["Statement"]
    for policy in properties.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(role: str) -> set[str]:
    assert {statement["Effect"] for statement in statements(role)} == {"Allow"}
    return {action for statement in statements(role) for action in listed(statement["Action"])}


ROLES = ("FrontRole", "WebHostRole", "NodeRole")


@pytest.mark.parametrize("service", ["s3", "cloudwatch", "ec2"])
def test_the_table_has_every_call_of_the_code(service: str) -> None:
    assert in_code(service) == RIGHTS[service].keys()


def test_a_host_may_do_what_storage_and_its_start_do() -> None:
    start = in_script(FOLDER / "refresh")
    assert allowed("WebHostRole") - SESSION_MANAGER == needed(s3=in_code("s3"), aws=start, cloudwatch=["PutMetricData"])


def test_the_front_may_read_figures_and_launch_and_end_nodes_beside() -> None:
    assert allowed("FrontRole") - allowed("WebHostRole") == needed(ec2=in_code("ec2"), cloudwatch=["GetMetricData"])


def test_a_node_may_install_itself_read_one_secret_and_tell_its_figures() -> None:
    start = in_script(SOURCE / "autoscaler" / "nodes" / "ec2" / "templates" / "user_data.sh")
    assert allowed("NodeRole") == needed(aws=start, cloudwatch=["PutMetricData"])
    (secret,) = [one for one in statements("NodeRole") if one["Action"] == "secretsmanager:GetSecretValue"]
    assert secret["Resource"] == {"Ref": "InternalToken"}


@pytest.mark.parametrize("role", ROLES)
def test_no_role_is_wider_than_aws_makes_it(role: str) -> None:
    for statement in statements(role):
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        for resource in listed(statement["Resource"]):
            if resource == "*":
                assert set(listed(statement["Action"])) <= WITHOUT_RESOURCES
            else:  # a reference to what the stack made, or an ARN that names service, region and account
                text = re.sub(r"\$\{[^}]*\}", "it", resource.get("Fn::Sub", "arn:made:here:by:the:stack"))
                assert re.match(r"arn:[^:]+:\w+:[^:*]*:[^:*]*:", text), text


def conditions(role: str, action: str) -> list[dict[str, Any]]:
    return [one.get("Condition", {}) for one in statements(role) if action in listed(one["Action"])]


@pytest.mark.parametrize("role", ROLES)
def test_figures_go_into_the_stacks_own_namespace(role: str) -> None:
    (condition,) = conditions(role, "cloudwatch:PutMetricData")
    namespace = {"Fn::Sub": "ElasticImages-${AWS::StackName}"}
    assert condition == {"StringEquals": {"cloudwatch:namespace": namespace}}
    (settings,) = resources("system.yaml", "AWS::SSM::Parameter").values()
    assert {"Fn::Sub": f"ELASTIC_IMAGES_METRICS=cloudwatch://{namespace['Fn::Sub']}"} in settings["Value"]["Fn::Join"][
        1
    ]


def test_the_front_launches_only_nodes_of_its_pool_and_ends_no_other_instance() -> None:
    pool = {"Ref": "AWS::StackName"}
    with_tags, without = conditions("FrontRole", "ec2:RunInstances")
    assert with_tags["StringEquals"] == {
        "aws:RequestTag/elastic-images:pool": pool,
        "ec2:MetadataHttpTokens": "required",
    }
    assert with_tags["ArnEquals"] == {"ec2:InstanceProfile": {"Fn::GetAtt": ["NodeProfile", "Arn"]}}
    assert without == {}  # the other resources of a launch; the instance itself is not among them
    (launch_with,) = [one for one in statements("FrontRole") if one["Sid"] == "LaunchNodesWith"]
    assert not [resource for resource in launch_with["Resource"] if ":instance/" in resource["Fn::Sub"]]
    (ends,) = conditions("FrontRole", "ec2:TerminateInstances")
    assert ends == {"StringEquals": {"aws:ResourceTag/elastic-images:pool": pool}}
    (tags,) = conditions("FrontRole", "ec2:CreateTags")  # none on an instance that is there already
    assert tags == {"StringEquals": {"ec2:CreateAction": "RunInstances"}}


def test_the_front_hands_on_the_nodes_role_and_no_other() -> None:
    (passing,) = [one for one in statements("FrontRole") if one["Action"] == "iam:PassRole"]
    assert passing["Resource"] == {"Fn::GetAtt": ["NodeRole", "Arn"]}
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


@pytest.mark.parametrize("role", ROLES)
def test_images_are_out_of_the_nodes_reach_and_packages_cannot_be_written(role: str) -> None:
    for statement in statements(role):
        places = [
            text for resource in listed(statement["Resource"]) for text in str(resource).split() if "s3:::" in text
        ]
        writes = {action for action in listed(statement["Action"]) if re.match("s3:(Put|Delete)", action)}
        assert not (writes and any("packages" in place for place in places))
        if role == "NodeRole":
            assert not any("images/" in place for place in places)
