"""The whole system as it runs on AWS: S3, a database server, CloudWatch and EC2 at once.

S3 is SeaweedFS, the database MariaDB; CloudWatch, EC2 and Secrets Manager are moto's server. Each instance runs its
user data on this machine (testing/ec2_machine.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from testing.database_servers import mariadb, mariadb_installed
from testing.ec2_machine import ScriptedMachine, scripted_boot, write_stubs
from testing.ec2_stand_ins import FakeEc2, fake_ec2
from testing.object_servers import WRITER, moto, seaweedfs
from testing.photographs import Photograph
from testing.system import COMMAND, System, running
from testing.waiting import wait_for

from elastic_images import __version__
from elastic_images.cli.aws.wheel_uploader import WheelUploader
from elastic_images.settings.secret_files import keep_secret
from elastic_images.storage.objects.s3.boto import BotoS3Service

PASSWORD = "correct horse battery staple"
TOKEN = "internal-token-of-the-whole-system-0123456789"


@dataclass(frozen=True, slots=True)
class Cloud:
    system: System
    ec2: FakeEc2
    folder: Path
    database_url: str


@contextmanager
def cloud_in(folder: Path) -> Iterator[Cloud]:
    with ExitStack() as stack:
        server = stack.enter_context(moto())
        s3 = stack.enter_context(seaweedfs())
        database_url = stack.enter_context(stack.enter_context(mariadb()).fresh_url())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        environ: dict[str, str] = {}
        stubs = write_stubs(folder / "stubs", COMMAND, __version__)
        ec2 = stack.enter_context(fake_ec2(scripted_boot(folder / "instances", stubs, environ), server))
        environ |= {**ec2.environment(), **s3.environment()}
        for name, value in environ.items():
            patch.setenv(name, value)
        bucket = s3.fresh_bucket()
        put_packages(folder / "wheels", f"s3://{bucket}/packages/{__version__}")
        ec2.client("secretsmanager").create_secret(Name="elastic-images/internal-token", SecretString=TOKEN)
        (folder / "data").mkdir()
        keep_secret(folder / "data" / "internal-token", TOKEN)
        system = stack.enter_context(
            running(
                folder,
                object_store=f"s3://{bucket}/images",
                database=database_url,
                metrics="cloudwatch://ElasticImages",
                node_provider=ec2.setting(packages=f"s3://{bucket}/packages", pool="whole"),
                advertise="127.0.0.1",
                admin_password=PASSWORD,
            )
        )
        yield Cloud(system, ec2, folder, database_url)


def put_packages(folder: Path, place: str) -> None:
    """As `aws push` does: a wheel by its name alone, as the stand-ins have the package already."""
    from hashlib import sha256

    folder.mkdir()
    wheel = folder / f"elastic_images-{__version__}-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    (folder / "SHA256SUMS").write_text(f"{sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
    WheelUploader(BotoS3Service(), place).push([wheel], folder / "SHA256SUMS", lambda _bytes: None)


def machine(cloud: Cloud, slot: int) -> ScriptedMachine:
    found = cloud.ec2.machine(slot)
    assert isinstance(found, ScriptedMachine)
    return found


def images_are_uploaded_and_read_through_an_instance(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    for number, photo in enumerate(few):
        assert cloud.system.admin().put(f"p/{number}", photo.body).status == 201

    def kept() -> int:
        all_are_read(cloud, few)
        (node,) = cloud.system.pool()["nodes"]
        return int(node["stats"]["items"])

    # Right after its start web may not know the node yet, and the autoscaler asks nodes only now and then.
    wait_for(lambda: kept() > 0, "the instance keeps images")
    assert cloud.system.find("memcache") == [], "no node is a process of the system's own"


def all_are_read(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    for number, photo in enumerate(few):
        assert cloud.system.client().get(f"p/{number}").body == photo.body


def the_pool_grows_and_shrinks(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    cloud.system.scale(3)
    assert len(cloud.ec2.instances()) == 3
    all_are_read(cloud, few)
    cloud.system.scale(1)
    all_are_read(cloud, few)
    wait_for(lambda: len(cloud.ec2.instances()) == 1, "instances that nobody wants are terminated")


def an_instance_that_dies_is_replaced(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    cloud.system.scale(3)
    (victim,) = cloud.ec2.of_slot(1)
    machine(cloud, 1).cut_off()
    cloud.ec2.terminate(victim)
    all_are_read(cloud, few)
    assert cloud.system.admin().put("p/0", few[0].body).status == 200
    wait_for(lambda: bool(set(cloud.ec2.of_slot(1)) - {victim}), "another instance is launched", seconds=60)
    cloud.system.wait_settled(3)
    all_are_read(cloud, few)


def a_process_that_dies_is_started_again_on_its_instance(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    (before,) = cloud.ec2.of_slot(2)
    played = machine(cloud, 2)
    starts = played.starts
    played.node.kill()
    wait_for(lambda: played.starts > starts, "systemd starts it again")
    cloud.system.wait_settled(3)
    all_are_read(cloud, few)
    assert cloud.ec2.of_slot(2) == [before]


def an_autoscaler_that_is_killed_adopts_its_instances(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    before = {one["InstanceId"] for one in cloud.ec2.instances()}
    launches = cloud.ec2.count("RunInstances")
    (autoscaler,) = cloud.system.find("autoscaler")
    cloud.system.kill(autoscaler)
    all_are_read(cloud, few)
    wait_for(lambda: len(cloud.system.find("autoscaler")) == 1, "the autoscaler is started again")
    cloud.system.wait_settled(3)
    cloud.system.scale(2)
    wait_for(lambda: len(cloud.ec2.instances()) == 2, "the third is terminated")
    assert {one["InstanceId"] for one in cloud.ec2.instances()} < before
    assert cloud.ec2.count("RunInstances") == launches, "it has launched none"


def instances_outlive_the_system_until_they_are_ended_by_command(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    cloud.system.end()
    left = {one["InstanceId"] for one in cloud.ec2.instances()}
    assert len(left) == 2
    cloud.system.start()
    all_are_read(cloud, few)
    cloud.system.wait_settled(2)
    assert {one["InstanceId"] for one in cloud.ec2.instances()} == left
    cloud.system.end()
    setting = cloud.system.settings["node_provider"]
    listed = cloud.system.cli("aws", "nodes", "--json", node_provider=setting)
    assert {one["id"] for one in json.loads(listed.stdout)} == left
    done = cloud.system.cli("aws", "terminate-nodes", "--yes", "--json", node_provider=setting)
    assert {one["id"] for one in json.loads(done.stdout)} == left
    assert cloud.ec2.instances() == []


def no_credential_is_in_any_log(cloud: Cloud) -> None:
    password = cloud.database_url.split("@")[0].rpartition(":")[2]
    kept = [(cloud.system.data / name).read_text().strip() for name in ("secret-key", "cli-token")]
    secrets = [TOKEN, PASSWORD, *WRITER, *kept, *([password] if password else [])]
    credentials = {"internal-token", "credentials", "elastic-images-token"}
    texts = [
        file
        for file in (cloud.system.log_path, *(cloud.folder / "instances").rglob("*"))
        if file.is_file() and not credentials & {file.name, file.parent.name}
    ]
    assert len([file for file in texts if file.name == "console"]) >= 4
    for file in texts:
        content = file.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, file


@pytest.mark.skipif(not mariadb_installed(), reason="needs the package mariadb-server")
def test_the_life_of_a_system_on_aws(tmp_path: Path, few: tuple[Photograph, ...]) -> None:
    """Step after step, in this order."""
    with cloud_in(tmp_path) as cloud:
        images_are_uploaded_and_read_through_an_instance(cloud, few)
        the_pool_grows_and_shrinks(cloud, few)
        an_instance_that_dies_is_replaced(cloud, few)
        a_process_that_dies_is_started_again_on_its_instance(cloud, few)
        an_autoscaler_that_is_killed_adopts_its_instances(cloud, few)
        instances_outlive_the_system_until_they_are_ended_by_command(cloud, few)
        no_credential_is_in_any_log(cloud)
