"""The autoscaler, as `elastic-images serve autoscaler` starts it, whose local nodes are on other hosts of a `Network`.

`TEST_NODE_HOSTS` names them, `NAMESPACE=ADDRESS` each, between commas; slot 0 is on the first, and so on, round and
round. A process in another network namespace is still one of this machine, so that what `LocalNodeProvider` takes for
proof of a node's death is one here, too, whatever cables are pulled.
"""

from __future__ import annotations

import os
import sys

from elastic_images.autoscaler.nodes.local import LocalNodeProvider
from elastic_images.autoscaler.service import AutoscalerService
from elastic_images.process import logs, server
from elastic_images.settings import Settings

HOSTS_VARIABLE = "TEST_NODE_HOSTS"


def main() -> int:
    """Serve, and give the exit code."""
    settings = Settings.load()
    logs.setup("autoscaler", secrets=[settings.internal_token])
    hosts = [host.split("=") for host in os.environ[HOSTS_VARIABLE].split(",")]

    def command(slot: int) -> list[str]:
        namespace, address = hosts[slot % len(hosts)]
        where = [f"ELASTIC_IMAGES_INTERNAL_HOST={address}", f"ELASTIC_IMAGES_ADVERTISE={address}"]
        node = [sys.executable, "-m", "elastic_images", "serve", "memcache", "--slot", str(slot)]
        # Both `ip netns exec` and `env` become what they run: the process that is started here is the node.
        return ["ip", "netns", "exec", namespace, "env", *where, *node]

    provider = LocalNodeProvider(
        command, data=settings.data, environ=settings.to_environ(), lifeline_fd=settings.lifeline_fd
    )
    return server.run(
        AutoscalerService(settings, provider),
        settings.internal_host,
        settings.port("autoscaler"),
        lifeline_fd=settings.lifeline_fd,
    )


if __name__ == "__main__":
    server.leave(main())
