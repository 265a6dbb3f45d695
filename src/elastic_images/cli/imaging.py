"""`imaging`: the broker that has images decoded, in the foreground."""

from __future__ import annotations

import click

from elastic_images.cli.options import settings_options
from elastic_images.settings import Settings

_LIMITS = ("max_image_pixels", "max_frames", "max_animation_pixels")


@click.command()
@settings_options(
    "data", "imaging_socket", "imaging_memory_mb", "max_image_pixels", "max_frames", "max_animation_pixels"
)
def imaging(settings: Settings) -> None:
    """Run the imaging broker in the foreground: it has workers inspect uploads and make renditions.

    `up` runs it. On a host with several apps, run one as a service and tell the apps its socket (--imaging-socket, or
    DATA/run/imaging.sock); an app that is told of none starts one of its own.
    """
    from elastic_images.core.errors import InvalidRequest
    from elastic_images.imaging import service
    from elastic_images.imaging.admission import MEGABYTE
    from elastic_images.imaging.command import limits_of
    from elastic_images.process import logs
    from elastic_images.process.unix_sockets import listen
    from elastic_images.settings.addresses import imaging_socket
    from elastic_images.settings.model import forget_environment

    logs.setup("imaging")
    forget_environment()
    path = settings.imaging_socket or imaging_socket(settings.data)
    try:
        listener = listen(path)
    except OSError as error:
        raise InvalidRequest(f"Cannot listen at {path}: {error.strerror}.") from error
    service.run(listener, memory_bytes=settings.imaging_memory_mb * MEGABYTE, limits=limits_of(settings))
