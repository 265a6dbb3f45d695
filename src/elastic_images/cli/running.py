"""`up`, `serve` and what `up` runs first."""

from __future__ import annotations

import importlib
import json
import os
import sys

import click

from elastic_images.cli.options import settings_options
from elastic_images.cli.output import settle_output
from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.errors import ElasticImagesError, Unavailable
from elastic_images.settings import Settings
from elastic_images.settings.addresses import BASE_PORTS
from elastic_images.settings.model import forget_environment
from elastic_images.settings.sources import unknown_variables


@click.command()
@settings_options()
def up(settings: Settings) -> None:
    """Start the whole system on this machine, in the foreground.

    Prints where it is and, on first start, the administrator's name and password. Ctrl-C or SIGTERM stops everything.
    Each option is also a setting in the environment (ELASTIC_IMAGES_NODES) and in elastic-images.toml (nodes);
    an option counts before the environment, and the environment before the file.
    """
    from elastic_images.process import logs
    from elastic_images.supervisor.up import up as run_up

    logs.setup("supervisor", secrets=_secrets(settings))
    for name in unknown_variables(os.environ):
        click.echo(f"elastic-images: {name} is set, but no setting has this name.", err=True)
    forget_environment()
    code = run_up(settings, say=click.echo)
    settle_output()
    sys.exit(code)


@click.command()
@click.argument("app", type=click.Choice(list(BASE_PORTS)))
@click.option("--slot", type=click.IntRange(0, MAX_NODES - 1), default=0, help="The node's slot (memcache only).")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the app's own; 0: any free one.")
@click.option("--ready-fd", type=click.IntRange(0), help="Where to write a line of JSON once requests are answered.")
@settings_options()
def serve(app: str, slot: int, port: int | None, ready_fd: int | None, settings: Settings) -> None:
    """Run one app in the foreground: web, storage, autoscaler, manager, or a memcache node.

    `up` starts each app this way; on several hosts each is a service of its own (docs/operations.md). The database must
    have been made ready, by an `up` or by `prepare`, and the apps that it talks to must run.
    """
    from elastic_images.process import logs, server

    settings = settings.with_secrets()
    name = f"{app}-{slot}" if app == "memcache" else app
    logs.setup(name, secrets=_secrets(settings))
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
            lifeline_fd=settings.lifeline_fd,
        )
    except ElasticImagesError as error:
        from elastic_images.cli.errors import exit_code_of

        click.echo(f"elastic-images: {name}: {error}", err=True)
        code = exit_code_of(error)
    server.leave(code)


@click.command()
def prepare() -> None:
    """Make the database ready, and the first administrator; tell what was done as JSON.

    `up` does it, too. By hand it is for several hosts, on one of them, before their apps are started the first time or
    in a new version. Settings come from the environment or elastic-images.toml.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    from elastic_images.accounts.bootstrap import FIRST_NAME, ensure_first_administrator
    from elastic_images.database.engine import open_engine
    from elastic_images.database.migrate import migrate
    from elastic_images.process import logs
    from elastic_images.process.logs import redact

    settings = Settings.load().with_secrets()
    logs.setup("prepare", secrets=_secrets(settings))
    _check_backends(settings)
    engine = open_engine(settings.database, answer_seconds=3600)  # changing a large table takes its time
    try:
        migrate(engine)
        made = ensure_first_administrator(engine, settings)
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(f"The database cannot be used: {redact(str(error.orig).strip())}") from error
    finally:
        engine.dispose()
    print(json.dumps({"administrator": made.name if made else FIRST_NAME, "first_start": made is not None}))  # noqa: T201


def _check_backends(settings: Settings) -> None:
    """Refuse a backend that is not there before anything is started; each app would refuse it later."""
    from elastic_images.autoscaler.nodes.opening import open_node_provider
    from elastic_images.http.internal_client import InternalClient
    from elastic_images.metrics.backends import open_metric_sink
    from elastic_images.storage.objects.opening import open_object_store

    open_object_store(settings.object_store)
    open_metric_sink(
        settings.metrics, InternalClient(settings.internal_token), settings.autoscaler_url, pool=settings.pool
    )
    open_node_provider(settings).close()


def _secrets(settings: Settings) -> list[str]:
    return [secret for secret in (settings.internal_token, settings.secret_key, settings.admin_password) if secret]
