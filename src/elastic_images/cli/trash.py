"""`trash`: deleted and replaced images, through the REST API of `web`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import web_options
from elastic_images.cli.options import json_option
from elastic_images.cli.outcomes import Outcome, report
from elastic_images.cli.output import amount, moment, print_json, print_table
from elastic_images.core.errors import ElasticImagesError

if TYPE_CHECKING:
    from elastic_images.client import Client, Restored, TrashEntry


@click.group()
def trash() -> None:
    """List, restore and purge deleted and replaced images."""


@trash.command("ls")
@click.argument("prefix", default="")
@json_option
@web_options()
def list_trash(prefix: str, as_json: bool, client: Client) -> None:
    """List what can be restored: all of it, or keys that start with PREFIX. Administrators see everybody's.

    JSON: {"entries": [{"id", "key", "version", "deleted_at", "until", "size_bytes", "owner"}]}
    """
    entries = client.trash(prefix)
    if as_json:
        print_json({"entries": [asdict(entry) for entry in entries]})
        return
    headings = ("ID", "KEY", "VERSION", "SIZE", "DELETED (UTC)", "KEPT UNTIL (UTC)", "OWNER")
    print_table(headings, map(_row, entries))


@trash.command()
@click.argument("key", required=False)
@click.option("--id", "ids", type=click.IntRange(1), multiple=True, help="An entry's id, instead of KEY. Repeatable.")
@json_option
@web_options()
def restore(key: str | None, ids: tuple[int, ...], as_json: bool, client: Client) -> None:
    """Restore the newest deleted or replaced image of KEY, or the entries with the given ids.

    The image that is there now, if any, goes into the trash.

    JSON: {"restored": [{"id", "key"}], "failed": [{"id", "key", "error", "detail"}]}
    """
    if (key is None) == (not ids):
        raise click.UsageError("Give either KEY or --id.")
    results = client.restore_entries(dict.fromkeys(ids)) if key is None else [_restored(client, key)]
    report([_outcome(result) for result in results], "restored", as_json, lambda value: str(value["key"]))


@trash.command()
@click.argument("prefix", default="")
@click.option("--yes", is_flag=True, help="Required: purged images cannot be restored.")
@json_option
@web_options()
def purge(prefix: str, yes: bool, as_json: bool, client: Client) -> None:
    """Remove what is in the trash for good: all of it, or keys that start with PREFIX. For administrators.

    JSON: {"purged": number}
    """
    if not yes:
        raise click.UsageError("Purged images cannot be restored: add --yes to go on.")
    purged = client.purge_trash(prefix)
    if as_json:
        print_json({"purged": purged})
    else:
        click.echo(f"{purged} images purged")


def _row(entry: TrashEntry) -> tuple[Any, ...]:
    deleted, until = moment(entry.deleted_at), moment(entry.until)
    return entry.id, entry.key, entry.version, amount(entry.size_bytes), deleted, until, entry.owner


def _restored(client: Client, key: str) -> Restored:
    from elastic_images.client import Restored

    try:
        return client.restore(key)
    except ElasticImagesError as error:
        return Restored(None, key, error)


def _outcome(result: Restored) -> Outcome:
    subject = {"id": result.id, "key": result.key}
    return Outcome(subject, None if result.error else subject, result.error)
