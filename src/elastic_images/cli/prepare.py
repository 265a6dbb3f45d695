"""`prepare`: the database and the first administrator, before any app starts."""

from __future__ import annotations

import json

import click

from elastic_images.core.errors import Unavailable
from elastic_images.settings import Settings


@click.command()
def prepare() -> None:
    """Create or upgrade the database, settle its object store, create the first administrator; print JSON.

    `up` does this too. With several hosts, run it on one of them before starting the apps for the first time, or in a
    new version. Settings come from the environment or elastic-images.toml.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    from elastic_images.accounts.bootstrap import FIRST_NAME, ensure_first_administrator
    from elastic_images.database.engine import check_encoding, open_engine
    from elastic_images.database.migrate import migrate
    from elastic_images.process import logs
    from elastic_images.process.logs import redact
    from elastic_images.storage.objects.from_url import open_object_store
    from elastic_images.storage.upkeep.adoption import settle

    settings = Settings.load().with_secrets()
    logs.setup("prepare", secrets=settings.secret_values())
    _check_backends(settings)
    engine = open_engine(settings.database, answer_seconds=3600)  # changing a large table is slow
    try:
        check_encoding(engine)
        migrate(engine)
        settle(engine, open_object_store(settings.object_store), settings.object_store)
        made = ensure_first_administrator(engine, settings)
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(f"The database cannot be used: {redact(str(error.orig).strip())}") from error
    finally:
        engine.dispose()
    print(json.dumps({"administrator": made.name if made else FIRST_NAME, "first_start": made is not None}))  # noqa: T201


def _check_backends(settings: Settings) -> None:
    """Fail early on an invalid backend, before any app starts."""
    from elastic_images.autoscaler.nodes.opening import open_node_provider
    from elastic_images.http.internal_client import InternalClient
    from elastic_images.metrics.backends import open_metric_sink
    from elastic_images.storage.objects.from_url import open_object_store

    open_object_store(settings.object_store)
    open_metric_sink(
        settings.metrics, InternalClient(settings.internal_token), settings.autoscaler_url, pool=settings.pool
    )
    open_node_provider(settings).close()
