"""The CloudFormation templates, read and deployed into moto's server as far as that goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnlint.decode import decode

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "aws"
STACK = "images-test"
REGION = "us-east-1"
NOT_IN_MOTO = {
    "AWS::AutoScaling::AutoScalingGroup",  # it wants more of a launch template than moto's CloudFormation keeps
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::EIPAssociation",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::Secret",
}
"""What moto's CloudFormation does not make. Tests read it in the template instead; secrets are made by hand."""


def template(name: str) -> dict[str, Any]:
    """A template as plain values, its functions in their long form."""
    read, problems = decode(str(FOLDER / name))
    assert not problems
    plain: dict[str, Any] = json.loads(json.dumps(read))
    return plain


def resources(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of one kind."""
    found = template(name)["Resources"].items()
    return {logical: resource["Properties"] for logical, resource in found if resource["Type"] == kind}


def texts(value: Any) -> Iterator[str]:
    """Every text inside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


@dataclass(frozen=True)
class Deployed:
    """A stack in moto's server."""

    parameters: dict[str, str]
    outputs: dict[str, str]
    ids: dict[str, str]
    """Physical ids by logical ones."""
    secrets: dict[str, str]
    """The secrets' ARNs by their logical ids."""


def deploy(client: Any, name: str, stack: str, parameters: dict[str, str], secrets: dict[str, str]) -> Deployed:
    """Create a stack; `client(service)` gives a client of boto3's. What moto does not make is left out."""
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=json.dumps(_for_moto(template(name), secrets)),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    made = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in made.get("Outputs", [])}
    listed = cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}
    return Deployed(parameters, outputs, ids, secrets)


def make_secrets(client: Any) -> dict[str, str]:
    """What the template asks of Secrets Manager, made there: ARNs by logical ids."""
    manager = client("secretsmanager")
    made = {}
    for name, wanted in resources("system.yaml", "AWS::SecretsManager::Secret").items():
        secret = manager.get_random_password(**wanted["GenerateSecretString"])["RandomPassword"]
        made[name] = manager.create_secret(Name=f"{STACK}-{name}", SecretString=secret)["ARN"]
    return made


def _for_moto(whole: dict[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    left_out = {name for name, resource in whole["Resources"].items() if resource["Type"] in NOT_IN_MOTO}
    kept = {name: resource for name, resource in whole["Resources"].items() if name not in left_out}
    if "Database" in kept:  # moto cannot follow this reference; the group itself is made
        del kept["Database"]["Properties"]["DBParameterGroupName"]
    for resource in kept.values():
        if isinstance(needed := resource.get("DependsOn"), list):
            resource["DependsOn"] = [name for name in needed if name not in left_out]
    known: dict[str, Any] = _known(whole | {"Resources": kept}, dict.fromkeys(left_out, "left-out") | secrets)
    return known


def _known(value: Any, names: dict[str, str]) -> Any:
    """The value with references to what is not in the template replaced by what they would give."""
    if isinstance(value, list):
        return [_known(inner, names) for inner in value]
    if isinstance(value, str):
        for name, shown in names.items():
            value = value.replace(f"${{{name}}}", shown)
        return value
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"}:
        return names.get(value["Ref"], value)
    if value.keys() == {"Fn::GetAtt"} and value["Fn::GetAtt"][1] == "CidrBlock" and value["Fn::GetAtt"][0] != "Vpc":
        return "0.0.0.0/0"  # a route's; moto gives it no attributes
    return {key: _known(inner, names) for key, inner in value.items()}
