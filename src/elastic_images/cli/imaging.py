"""`imaging`: the broker that has images decoded, in the foreground."""

from __future__ import annotations

import click

from elastic_images.cli.options import settings_options
from elastic_images.settings import Settings


@click.command()
@click.option("--ready-fd", type=click.IntRange(0), help="Descriptor that gets a line of JSON once it is ready.")
@click.option("--health-fd", type=click.IntRange(0), help="Descriptor that gets a heartbeat each second from then on.")
@click.option("--listen-fd", type=click.IntRange(0), hidden=True, help="An inherited socket to listen on.")
@settings_options("data", "imaging_socket", "imaging_memory_mb", "max_image_pixels")
def imaging(ready_fd: int | None, health_fd: int | None, listen_fd: int | None, settings: Settings) -> None:
    """Run the imaging broker in the foreground: it has workers inspect uploads and make renditions.

    `up` runs it. On a host with several apps, run one as a service and tell the apps its socket (--imaging-socket, or
    DATA/run/imaging.sock); an app that is told of none starts one of its own.
    """
    from elastic_images.imaging import service
    from elastic_images.process import logs
    from elastic_images.settings.model import forget_environment

    logs.setup("imaging")
    forget_environment()
    service.run(settings, ready_fd=ready_fd, health_fd=health_fd, listen_fd=listen_fd)
