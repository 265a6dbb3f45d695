"""Picks the node provider by the setting."""

from __future__ import annotations

import sys

from elastic_images.autoscaler.nodes.local import LocalNodeProvider
from elastic_images.autoscaler.nodes.provider import NodeProvider
from elastic_images.core.errors import InvalidRequest
from elastic_images.settings import Settings


def open_ec2_provider(settings: Settings) -> NodeProvider:
    """The EC2 provider. It connects on first use.

    Raises:
        InvalidRequest: the setting is malformed, boto3 or a region is missing, or nodes could not reach this machine.
    """
    from elastic_images.autoscaler.nodes.ec2.boot import boot_for
    from elastic_images.autoscaler.nodes.ec2.boto import BotoEc2Service
    from elastic_images.autoscaler.nodes.ec2.provider import Ec2NodeProvider
    from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting

    setting = parse_ec2_setting(settings.node_provider, settings.pool)
    service = BotoEc2Service(setting)
    boot = boot_for(setting, settings, service.region)
    return Ec2NodeProvider(service, boot.user_data, setting.subnets)


def open_node_provider(settings: Settings) -> NodeProvider:
    """The provider that `settings.node_provider` names.

    Raises:
        InvalidRequest: the setting is unknown or malformed.
    """
    setting = settings.node_provider
    if setting == "local":
        return LocalNodeProvider(
            lambda slot: [sys.executable, "-m", "elastic_images", "serve", "memcache", "--slot", str(slot)],
            data=settings.data,
            environ=settings.to_environ(),
            lifeline_fd=settings.lifeline_fd,
        )
    if setting.startswith("ec2:"):
        return open_ec2_provider(settings)
    raise InvalidRequest("The node provider must be local or ec2://...")
