"""Checks EC2, if nodes run there: could instances be launched, and would they find what they need?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from elastic_images import __version__
from elastic_images.autoscaler.nodes.ec2.boot import boot_for
from elastic_images.autoscaler.nodes.ec2.boto import BotoEc2Service
from elastic_images.autoscaler.nodes.ec2.calls import Ec2Error
from elastic_images.autoscaler.nodes.ec2.setting import Ec2Setting, parse_ec2_setting
from elastic_images.core.errors import ElasticImagesError
from elastic_images.doctor.aws_advice import aws_advice
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.settings import Settings
from elastic_images.storage.objects.s3.boto import BotoS3Service
from elastic_images.storage.objects.s3.errors import MISSING, S3Error, as_ours

_AREA = "nodes"
_UNSEEN = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})


def check_nodes(settings: Settings) -> Iterator[Finding]:
    """Check everything the setting names, and try a dry-run launch. Launches nothing."""
    if not settings.node_provider.startswith("ec2:"):
        return
    try:
        setting = parse_ec2_setting(settings.node_provider, settings.pool)
        service = BotoEc2Service(setting)
        user_data = boot_for(setting, settings, service.region).user_data(0)
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, str(error), "correct ELASTIC_IMAGES_NODE_PROVIDER, and what the message names")
        return
    try:
        for what, mend, look in _looks(service, setting):
            yield _looked(what, mend, look)
        yield _launch(service, setting, user_data)
    finally:
        service.close()
    yield _packages(setting)


def _looks(service: BotoEc2Service, setting: Ec2Setting) -> Iterator[tuple[str, str, Callable[[], object]]]:
    yield (
        "the instances of this pool",
        "allow ec2:DescribeInstances to these credentials (docs/aws.md has the whole policy)",
        service.instances,
    )
    yield (
        f"the image {setting.ami}",
        "correct ami; an image has a different id in each region",
        lambda: service.call("ec2", "DescribeImages", ImageIds=[setting.ami])["Images"][0],
    )
    yield (
        f"the subnets {', '.join(setting.subnets)}",
        "correct subnet",
        lambda: service.call("ec2", "DescribeSubnets", SubnetIds=list(setting.subnets)),
    )
    yield (
        f"the security groups {', '.join(setting.security_groups)}",
        "correct security_group",
        lambda: service.call("ec2", "DescribeSecurityGroups", GroupIds=list(setting.security_groups)),
    )
    yield (
        f"the instance profile {setting.profile}",
        "create it, or correct profile",
        lambda: service.call("iam", "GetInstanceProfile", InstanceProfileName=setting.profile),
    )
    yield (
        f"the secret {setting.secret}",
        "create it: aws secretsmanager create-secret (docs/aws.md)",
        lambda: service.call("secretsmanager", "DescribeSecret", SecretId=setting.secret),
    )


def _looked(what: str, mend: str, look: Callable[[], object]) -> Finding:
    try:
        look()
    except IndexError:
        return Finding(_AREA, BAD, f"{what}: not found", mend)
    except Ec2Error as trouble:
        if trouble.code in _UNSEEN and trouble.operation != "DescribeInstances":
            return Finding(
                _AREA, NOTE, f"{what}: not checked, because {trouble.operation} is not allowed; nor is it needed"
            )
        return Finding(_AREA, BAD, f"{what}: {trouble.explain()}", aws_advice(trouble.explain()) or mend)
    return Finding(_AREA, OK, f"{what}: found")


def _launch(service: BotoEc2Service, setting: Ec2Setting, user_data: str) -> Finding:
    try:
        service.try_run(setting.subnets[0], user_data)
    except Ec2Error as trouble:
        mend = "allow ec2:RunInstances, ec2:CreateTags and iam:PassRole to these credentials (docs/aws.md)"
        what = trouble.explain()
        return Finding(_AREA, BAD, f"an instance could not be launched: {what}", aws_advice(what) or mend)
    return Finding(_AREA, OK, f"a {setting.type} could be launched (dry run)")


def _packages(setting: Ec2Setting) -> Finding:
    bucket, _, prefix = setting.packages.removeprefix("s3://").partition("/")
    place = f"{setting.packages}/{__version__}"
    key = "/".join(part for part in (prefix, __version__, "SHA256SUMS") if part)
    mend = f"elastic-images aws push --to {setting.packages}"
    try:
        BotoS3Service().call("HeadObject", Bucket=bucket, Key=key)
    except S3Error as trouble:
        if trouble.code in MISSING:
            return Finding(_AREA, BAD, f"the packages of this version are not in {place}", mend)
        what = str(as_ours(trouble, place))
        return Finding(_AREA, NOTE, f"cannot check for the packages: {what}", aws_advice(what) or mend)
    return Finding(_AREA, OK, f"the packages of this version are in {place}")
