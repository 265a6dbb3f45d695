"""The EC2 calls through boto3."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from elastic_images.autoscaler.nodes.ec2.calls import (
    LAUNCH_TAG,
    POOL_TAG,
    SLOT_TAG,
    Ec2Error,
    Instance,
    slot_of,
)
from elastic_images.autoscaler.nodes.ec2.setting import Ec2Setting
from elastic_images.aws.boto import BotoClients, Failure

_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 10.0
_UNKNOWN_FROM = 500
_DISK_GB = 8
_AT_ONCE = {"SkipOsShutdown": True, "Force": True}


class BotoEc2Service:
    """An `Ec2Service` through boto3.

    Args:
        setting: what to launch.

    Raises:
        InvalidRequest: as `BotoClients`, or no region is set.
    """

    def __init__(self, setting: Ec2Setting) -> None:
        self._setting = setting
        self._clients = BotoClients(
            "Nodes on EC2 need",
            connect_seconds=_CONNECT_SECONDS,
            answer_seconds=_ANSWER_SECONDS,
            max_pool_connections=16,
        )
        self.region = self._clients.region()
        """The region of the nodes."""
        self._root_device: tuple[str, int] | None = None

    def instances(self) -> Sequence[Instance]:
        """See `Ec2Service`."""
        filters = [
            {"Name": f"tag:{POOL_TAG}", "Values": [self._setting.pool]},
            {"Name": "tag-key", "Values": [LAUNCH_TAG]},
        ]
        return self._listed(Filters=filters, MaxResults=1000)

    def look_at(self, ids: Collection[str]) -> Sequence[Instance]:
        """See `Ec2Service`."""
        found: list[Instance] = []
        for id_ in ids:  # an unknown one would fail a call for several
            try:
                found += self._listed(InstanceIds=[id_])
            except Ec2Error as error:
                if error.code != "InvalidInstanceID.NotFound":
                    raise
        return found

    def run(self, slot: int, launch: str, subnet: str, token: str, user_data: str) -> Instance:
        """See `Ec2Service`."""
        return _instance(self._run(slot, launch, subnet, token, user_data)["Instances"][0])

    def try_run(self, subnet: str, user_data: str) -> None:
        """Check whether `run` would be allowed, without launching. Raises Ec2Error if not."""
        try:
            self._run(0, "doctor", subnet, "", user_data, DryRun=True)
        except Ec2Error as error:
            if error.code != "DryRunOperation":
                raise

    def _run(self, slot: int, launch: str, subnet: str, token: str, user_data: str, **more: Any) -> dict[str, Any]:
        setting = self._setting
        tags = {
            POOL_TAG: setting.pool,
            SLOT_TAG: str(slot),
            LAUNCH_TAG: launch,
            "Name": f"{setting.pool} node {slot}",
        }
        listed = [{"Key": name, "Value": value} for name, value in tags.items()]
        device, gigabytes = self._root()
        root = {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": gigabytes, "DeleteOnTermination": True}
        return self.call(
            "ec2",
            "RunInstances",
            ImageId=setting.ami,
            InstanceType=setting.type,
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            SecurityGroupIds=list(setting.security_groups),
            IamInstanceProfile={"Name": setting.profile},
            UserData=user_data,
            InstanceInitiatedShutdownBehavior="terminate",
            MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
            BlockDeviceMappings=[{"DeviceName": device, "Ebs": root}],
            TagSpecifications=[{"ResourceType": kind, "Tags": listed} for kind in ("instance", "volume")],
            **({"ClientToken": token} if token else {}),
            **({"KeyName": setting.key} if setting.key else {}),
            **more,
        )

    def terminate(self, ids: Collection[str], *, at_once: bool = False) -> None:
        """See `Ec2Service`."""
        for id_ in ids:  # a protected or unknown one would fail a call for several
            try:
                self.call("ec2", "TerminateInstances", InstanceIds=[id_], **(_AT_ONCE if at_once else {}))
            except Ec2Error as error:
                if error.code != "InvalidInstanceID.NotFound":
                    raise

    def close(self) -> None:
        """See `Ec2Service`."""
        self._clients.close()

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call: `call("ec2", "DescribeImages", ...)`. Raises Ec2Error."""

        def raised(failure: Failure) -> Ec2Error:
            trouble = Ec2Error(failure.code, operation, detail=failure.detail or failure.code)
            # EC2 reports missing capacity by a 500; after any other 5xx the outcome is unknown.
            failed = (failure.status or 0) >= _UNKNOWN_FROM and not (trouble.no_capacity or trouble.throttled)
            trouble.unknown = failed or failure.how in ("insecure", "unsent", "unanswered")
            return trouble

        with self._clients.errors(raised):
            return self._clients.send(self._clients.client(service), operation, arguments)

    def _listed(self, **arguments: Any) -> list[Instance]:
        found: list[Instance] = []
        while True:
            answer = self.call("ec2", "DescribeInstances", **arguments)
            found += [_instance(one) for group in answer["Reservations"] for one in group["Instances"]]
            if not answer.get("NextToken"):
                return found
            arguments["NextToken"] = answer["NextToken"]

    def _root(self) -> tuple[str, int]:
        """The image's root device and its size in GB: under another name the volume would not be encrypted."""
        if self._root_device is None:
            images = self.call("ec2", "DescribeImages", ImageIds=[self._setting.ami])["Images"]
            if not images:
                raise Ec2Error("InvalidAMIID.NotFound", "DescribeImages", detail=f"there is no {self._setting.ami}")
            device = str(images[0]["RootDeviceName"])
            volumes = {one.get("DeviceName"): one.get("Ebs", {}) for one in images[0].get("BlockDeviceMappings", ())}
            self._root_device = (device, max(_DISK_GB, volumes.get(device, {}).get("VolumeSize", 0)))
        return self._root_device


def _instance(answer: dict[str, Any]) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}
    launched = answer.get("LaunchTime")
    return Instance(
        id=answer["InstanceId"],
        pool=tags.get(POOL_TAG, ""),
        slot=slot_of(tags.get(SLOT_TAG, "")),
        launch=tags.get(LAUNCH_TAG, ""),
        state=answer["State"]["Name"],
        launched_at=launched.timestamp() if launched is not None else 0.0,
        address=answer.get("PrivateIpAddress"),
        subnet=answer.get("SubnetId"),
    )
