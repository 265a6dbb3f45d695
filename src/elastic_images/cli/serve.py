"""`serve`: one app, in the foreground."""

from __future__ import annotations

import importlib
import os

import click

from elastic_images.cli.options import settings_options
from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.errors import ElasticImagesError
from elastic_images.settings import Settings
from elastic_images.settings.addresses import BASE_PORTS
from elastic_images.settings.model import forget_environment


@click.command()
@click.argument("app", type=click.Choice(list(BASE_PORTS)))
@click.option("--slot", type=click.IntRange(0, MAX_NODES - 1), default=0, help="The node's slot (memcache only).")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0 picks a free one.")
@click.option("--ready-fd", type=click.IntRange(0), help="Descriptor that gets a line of JSON once the app is ready.")
@click.option("--health-fd", type=click.IntRange(0), help="Descriptor that gets a heartbeat each second from then on.")
@click.option("--listen-fd", type=click.IntRange(0), hidden=True, help="An inherited socket to listen on.")
@settings_options()
def serve(
    app: str,
    slot: int,
    port: int | None,
    ready_fd: int | None,
    health_fd: int | None,
    listen_fd: int | None,
    settings: Settings,
) -> None:
    """Run one app in the foreground: web, storage, autoscaler, manager, or a memcache node.

    `up` starts each app this way; on several hosts, each app is a service (docs/operations.md). Prepare the database
    first, with `up` or `prepare`, and start the apps that this one talks to.
    """
    from elastic_images.process import logs, server

    settings = settings.with_secrets()
    name = f"{app}-{slot}" if app == "memcache" else app
    logs.setup(name, secrets=settings.secret_values())
    forget_environment()
    try:
        build = importlib.import_module(f"elastic_images.{app}.service").build
        service = build(settings, slot) if app == "memcache" else build(settings)
        code = server.run(
            service,
            settings.host if app in ("web", "manager") else settings.internal_host,
            settings.port(app, slot) if port is None else port,
            shared_port={"web": settings.web_processes, "storage": settings.storage_processes}.get(app, 1) > 1,
            advertise=settings.advertise,
            ready_fd=ready_fd,
            health_fd=health_fd,
            listen_fd=activated_socket() if listen_fd is None else listen_fd,
            lifeline_fd=settings.lifeline_fd,
        )
    except ElasticImagesError as error:
        from elastic_images.cli.errors import exit_code_of

        click.echo(f"elastic-images: {name}: {error}", err=True)
        code = exit_code_of(error)
    server.leave(code)


def activated_socket() -> int | None:
    """The socket that systemd passes to this process (sd_listen_fds(3)), if any: always descriptor 3."""
    ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    return 3 if int(os.environ.pop("LISTEN_FDS", "0")) and ours else None
