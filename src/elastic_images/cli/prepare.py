"""`prepare`: the database and the first administrator, before any app starts."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

import click

from elastic_images.settings import Settings

_log = logging.getLogger(__name__)

CHECK_SECONDS = 60.0


@click.command()
@click.option("--check-database", is_flag=True, help="First check an SQLite database for damage, for up to a minute.")
def prepare(check_database: bool) -> None:
    """Create or upgrade the database, settle its object store, create the first administrator; print JSON.

    `up` does this too. With several hosts, run it on one of them before starting the apps for the first time, or in a
    new version. Settings come from the environment or elastic-images.toml.
    """
    from elastic_images.accounts.bootstrap import FIRST_NAME, ensure_first_administrator
    from elastic_images.database.engine import check_encoding
    from elastic_images.database.explained import explained_engine
    from elastic_images.database.migrate import migrate
    from elastic_images.process import logs
    from elastic_images.storage.objects.from_url import open_object_store
    from elastic_images.storage.upkeep.adoption import settle

    settings = Settings.load().with_secrets()
    logs.setup("prepare", secrets=settings.secret_values())
    _check_backends(settings)
    if check_database:
        _check_soundness(settings)
    with explained_engine(settings.database, answer_seconds=3600) as engine:  # changing a large table is slow
        check_encoding(engine)
        upgrade = migrate(engine)
        settle(engine, open_object_store(settings.object_store), settings.object_store)
        made = ensure_first_administrator(engine, settings)
    told = {
        "administrator": made.name if made else FIRST_NAME,
        "first_start": made is not None,
        "upgraded": asdict(upgrade) if upgrade else None,
    }
    print(json.dumps(told, default=str))  # noqa: T201


def _check_soundness(settings: Settings) -> None:
    from elastic_images.database.sqlite_file import check_soundness, file_of

    file = file_of(settings.database)
    if file and file.is_file() and not check_soundness(file, limit_seconds=CHECK_SECONDS):
        _log.warning("no time to check all of %s for damage; `elastic-images doctor` checks it whole", file)


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
