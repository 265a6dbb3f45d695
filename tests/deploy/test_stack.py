"""The two stacks in moto's server: what was made is asked of the services themselves."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testing.object_servers import moto
from tests.deploy.stacks import NOT_IN_MOTO, REGION, STACK, Deployed, deploy, make_secrets, template

from elastic_images.autoscaler.nodes.ec2.boot import boot_for
from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting
from elastic_images.settings import Settings

Client = Callable[[str], Any]
BUCKET_STACK = "bucket-test"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Gives clients of boto3's for moto's server."""
    import boto3

    with moto() as server, contextlib.ExitStack() as stack:
        session: Any = boto3.session.Session("test-key", "test-secret", region_name=REGION)
        clients: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in clients:
                made = clients[service] = session.client(service, endpoint_url=server.url)
                stack.callback(made.close)
            return clients[service]

        yield client


@pytest.fixture(scope="module")
def bucket(client: Client) -> str:
    return deploy(client, "bucket.yaml", BUCKET_STACK, {}, {}).outputs["Bucket"]


@pytest.fixture(scope="module")
def stack(client: Client, bucket: str) -> Deployed:
    parameters = {
        "Bucket": bucket,
        "Version": "1.2.3",
        "ImageId": client("ec2").describe_images()["Images"][0]["ImageId"],
        "DomainName": "images.example.org",
        "CertificateArn": client("acm").request_certificate(DomainName="images.example.org")["CertificateArn"],
    }
    return deploy(client, "system.yaml", STACK, parameters, make_secrets(client))


@pytest.fixture(scope="module")
def settings(client: Client, stack: Deployed) -> dict[str, str]:
    """What the instances read at each start."""
    value = client("ssm").get_parameter(Name=stack.outputs["SettingsParameter"])["Parameter"]["Value"]
    return dict(line.split("=", 1) for line in value.splitlines() if line)


def test_all_was_made_that_moto_can_make(stack: Deployed) -> None:
    whole = template("system.yaml")
    conditions = {"MakeNat", "MakeWebHosts", "InHostedZone"}  # not with these parameters
    wanted = {
        name
        for name, resource in whole["Resources"].items()
        if resource["Type"] not in NOT_IN_MOTO and resource.get("Condition") not in conditions
    }
    assert wanted == stack.ids.keys() - {""}


def test_the_bucket_is_encrypted(client: Client, bucket: str) -> None:
    s3 = client("s3")
    (encryption,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_groups_let_in_as_the_template_says(client: Client, stack: Deployed) -> None:
    names = {stack.ids[name]: name for name in ("LoadBalancerGroup", "FrontGroup", "NodeGroup", "DatabaseGroup")}
    let_in = {
        (names[group["GroupId"]], rule["FromPort"], rule["ToPort"], source)
        for group in client("ec2").describe_security_groups(GroupIds=list(names))["SecurityGroups"]
        for rule in group["IpPermissions"]
        for source in [
            *(names[pair["GroupId"]] for pair in rule["UserIdGroupPairs"]),
            *(span["CidrIp"] for span in rule["IpRanges"]),
        ]
    }
    assert let_in == {
        ("LoadBalancerGroup", 80, 80, "0.0.0.0/0"),
        ("LoadBalancerGroup", 443, 443, "0.0.0.0/0"),
        ("FrontGroup", 5000, 5000, "LoadBalancerGroup"),
        ("FrontGroup", 5001, 5002, "NodeGroup"),
        ("NodeGroup", 4000, 4007, "FrontGroup"),
        ("NodeGroup", 4000, 4007, "NodeGroup"),
        ("NodeGroup", 32768, 60999, "FrontGroup"),
        ("DatabaseGroup", 3306, 3306, "FrontGroup"),
    }


def test_the_front_boots_with_the_place_of_its_settings_and_no_secret(client: Client, stack: Deployed) -> None:
    answer = client("ec2").describe_instance_attribute(InstanceId=stack.ids["FrontInstance"], Attribute="userData")
    script = base64.b64decode(answer["UserData"]["Value"]).decode()
    assert len(script.encode()) < 16_384  # EC2 takes no more
    (interface,) = client("ec2").describe_network_interfaces(NetworkInterfaceIds=[stack.ids["FrontInterface"]])[
        "NetworkInterfaces"
    ]
    assert f"\nSTACK_SETTINGS={stack.outputs['SettingsParameter']}\n" in script
    assert f"\nSTACK_FRONT={interface['PrivateIpAddress']}\n" in script
    assert "${" not in script.partition("# ----")[0]
    for arn in stack.secrets.values():
        assert client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] not in script
        assert arn not in script
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_database_is_encrypted_kept_and_in_the_private_subnets(client: Client, stack: Deployed) -> None:
    (database,) = client("rds").describe_db_instances()["DBInstances"]
    assert database["StorageEncrypted"] is True
    assert database["BackupRetentionPeriod"] == 7
    assert database["PubliclyAccessible"] is False
    assert (database["Engine"], database["DBName"], database["MasterUsername"]) == (
        "mariadb",
        "elastic_images",
        "elastic",
    )
    subnets = {subnet["SubnetIdentifier"] for subnet in database["DBSubnetGroup"]["Subnets"]}
    assert subnets == {stack.ids["PrivateSubnet1"], stack.ids["PrivateSubnet2"]}


def test_private_subnets_have_no_way_out_of_their_own(client: Client, stack: Deployed) -> None:
    (table,) = client("ec2").describe_route_tables(RouteTableIds=[stack.ids["PrivateRoutes"]])["RouteTables"]
    assert "0.0.0.0/0" not in [route.get("DestinationCidrBlock") for route in table["Routes"]]


def test_people_come_in_by_https_alone(client: Client, stack: Deployed) -> None:
    balancing = client("elbv2")
    balancer = stack.ids["LoadBalancer"]
    listeners = balancing.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    plain, secure = sorted(listeners, key=lambda listener: listener["Port"])
    (action,) = plain["DefaultActions"]
    assert (plain["Port"], action["Type"]) == (80, "redirect")
    assert action["RedirectConfig"]["Protocol"] == "HTTPS"
    assert action["RedirectConfig"]["StatusCode"] == "HTTP_301"
    (action,) = secure["DefaultActions"]
    assert (secure["Port"], secure["Protocol"]) == (443, "HTTPS")
    assert (action["Type"], action["TargetGroupArn"]) == ("forward", stack.ids["WebTargets"])
    assert secure["Certificates"] == [{"CertificateArn": stack.parameters["CertificateArn"]}]
    (group,) = balancing.describe_target_groups(TargetGroupArns=[stack.ids["WebTargets"]])["TargetGroups"]
    assert (group["Port"], group["HealthCheckPath"]) == (5000, "/readyz")


def test_settings_name_what_was_made_and_hold_no_secret(
    client: Client, stack: Deployed, bucket: str, settings: dict[str, str]
) -> None:
    assert settings["ELASTIC_IMAGES_OBJECT_STORE"] == f"s3://{bucket}/images"
    assert settings["STACK_PACKAGES"] == f"s3://{bucket}/packages"
    assert stack.outputs["DatabaseAddress"] in settings["STACK_DATABASE"]
    assert settings["ELASTIC_IMAGES_ALLOWED_HOSTS"] == f"images.example.org,{stack.outputs['LoadBalancerName']}"
    provider = settings["ELASTIC_IMAGES_NODE_PROVIDER"]
    for wanted in (
        f"ami={stack.parameters['ImageId']}",
        f"subnet={stack.ids['PublicSubnet1']}&subnet={stack.ids['PublicSubnet2']}",
        f"security_group={stack.ids['NodeGroup']}",
        f"profile={stack.ids['NodeProfile']}",
        f"packages=s3://{bucket}/packages",
        f"secret={stack.secrets['InternalToken']}",
        f"pool={STACK}",
    ):
        assert wanted in provider
    for arn in stack.secrets.values():
        secret = client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        assert secret not in "".join(settings.values())


def test_the_autoscaler_can_launch_nodes_with_these_settings(
    stack: Deployed, settings: dict[str, str], tmp_path: Path
) -> None:
    environ = {name: value for name, value in settings.items() if name.startswith("ELASTIC_IMAGES_")}
    here = {"ELASTIC_IMAGES_INTERNAL_HOST": "10.83.0.10", "ELASTIC_IMAGES_ADVERTISE": "10.83.0.10"}
    loaded = Settings.load(environ=environ | here | {"ELASTIC_IMAGES_DATA": str(tmp_path)})
    parsed = parse_ec2_setting(loaded.node_provider)
    assert parsed.security_groups == (stack.ids["NodeGroup"],)
    assert (parsed.secret, parsed.profile) == (stack.secrets["InternalToken"], stack.ids["NodeProfile"])
    script = boot_for(parsed, loaded, REGION).user_data(3)
    assert "STORAGE_URLS=http://10.83.0.10:5001" in script
    assert "AUTOSCALER_URL=http://10.83.0.10:5002" in script
    assert "POOL=images-test" in script


@pytest.mark.parametrize(
    "more",
    [
        {"Internet": "nat-gateway"},
        {"DatabaseEngine": "postgres", "DatabaseMultiAz": "true"},
        {"WebHosts": "2", "MoreSettings": "ELASTIC_IMAGES_WEB_PROCESSES=2,ELASTIC_IMAGES_SESSION_HOURS=8"},
        {"Front": "absent"},
    ],
    ids=str,
)
def test_other_parameters_make_a_stack_too(client: Client, stack: Deployed, more: dict[str, str]) -> None:
    name = f"other-{'-'.join(more).lower()}"
    made = deploy(client, "system.yaml", name, stack.parameters | more, stack.secrets)
    value = client("ssm").get_parameter(Name=f"/elastic-images/{name}")["Parameter"]["Value"]
    if more.get("Internet"):
        assert made.ids["NatGateway"]
        assert f"subnet={made.ids['PrivateSubnet1']}&" in value
        assert made.ids["PublicSubnet1"] not in value
    if more.get("DatabaseEngine"):
        assert "STACK_DATABASE=postgresql://elastic:PASSWORD@" in value
        assert ":5432/elastic_images?sslmode=verify-full&" in value
    if more.get("WebHosts"):
        assert value.endswith("ELASTIC_IMAGES_WEB_PROCESSES=2\nELASTIC_IMAGES_SESSION_HOURS=8")
        assert made.ids["WebHostTemplate"]
    assert ("FrontInstance" in made.ids) == (more.get("Front") != "absent")


def test_a_vpc_of_ones_own_is_taken(client: Client, stack: Deployed) -> None:
    lists = {
        "ExistingVpc": stack.ids["Vpc"],
        "ExistingVpcCidr": "10.0.0.0/8",
        "ExistingPublicSubnets": f"{stack.ids['PublicSubnet1']},{stack.ids['PublicSubnet2']}",
        "ExistingPrivateSubnets": f"{stack.ids['PrivateSubnet1']},{stack.ids['PrivateSubnet2']}",
    }
    made = deploy(client, "system.yaml", "in-a-vpc", stack.parameters | lists, stack.secrets)
    assert not {name for name in made.ids if name.startswith(("Vpc", "Public", "Private", "Nat", "Internet"))}
    value = client("ssm").get_parameter(Name="/elastic-images/in-a-vpc")["Parameter"]["Value"]
    assert f"subnet={stack.ids['PublicSubnet1']}&subnet={stack.ids['PublicSubnet2']}&" in value
    assert "ELASTIC_IMAGES_TRUSTED_PROXIES=10.0.0.0/8\n" in value + "\n"
