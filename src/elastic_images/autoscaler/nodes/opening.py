"""The setting picks the provider, here and nowhere else."""

from __future__ import annotations

import sys

from elastic_images.autoscaler.nodes.local import LocalNodeProvider
from elastic_images.autoscaler.nodes.provider import NodeProvider
from elastic_images.core.errors import InvalidRequest
from elastic_images.settings import Settings


def open_node_provider(settings: Settings) -> NodeProvider:
    """The provider that `settings.node_provider` names.

    Raises:
        InvalidRequest: there is none of that name, or it is not there yet.
    """
    setting = settings.node_provider
    if setting == "local":
        return LocalNodeProvider(
            lambda slot: [sys.executable, "-m", "elastic_images", "serve", "memcache", "--slot", str(slot)],
            data=settings.data,
            environ=settings.to_environ(),
            lifeline_fd=settings.lifeline_fd,
        )
    if setting.startswith("ec2://"):
        raise InvalidRequest("Nodes on EC2 are not supported yet: set node_provider to local.")
    raise InvalidRequest("The node provider is local or ec2://...")
