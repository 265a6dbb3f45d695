"""`trash`: deleted and replaced images, through the REST API of `web`."""

from __future__ import annotations

from typing import Any

import click

from elastic_images.cli.api_client import MAX_PAGE, ApiClient, api_options
from elastic_images.cli.images import Outcome, report
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, moment, print_json, print_table
from elastic_images.core.errors import Conflict, ElasticImagesError, Forbidden, NotFound, Unavailable

_ERRORS: dict[int, type[ElasticImagesError]] = {one.status: one for one in (Forbidden, NotFound, Conflict, Unavailable)}


@click.group()
def trash() -> None:
    """List, restore and purge deleted and replaced images."""


@trash.command("ls")
@click.argument("prefix", default="")
@json_option
@api_options("web")
def list_trash(prefix: str, as_json: bool, api: ApiClient) -> None:
    """List what can be restored: all of it, or keys that start with PREFIX. Administrators see everybody's.

    JSON: {"entries": [{"id", "key", "version", "deleted_at", "until", "size_bytes", "owner"}]}
    """
    entries = list(api.listed("/api/trash", "entries", prefix=prefix, limit=MAX_PAGE))
    if as_json:
        print_json({"entries": entries})
        return
    headings = ("ID", "KEY", "VERSION", "SIZE", "DELETED (UTC)", "KEPT UNTIL (UTC)", "OWNER")
    print_table(headings, map(_row, entries))


@trash.command()
@click.argument("key", required=False)
@click.option("--id", "ids", type=click.IntRange(1), multiple=True, help="An entry's id, instead of KEY. Repeatable.")
@json_option
@api_options("web")
def restore(key: str | None, ids: tuple[int, ...], as_json: bool, api: ApiClient) -> None:
    """Restore the newest deleted or replaced image of KEY, or the entries with the given ids.

    The image that is there now, if any, goes into the trash.

    JSON: {"restored": [{"id", "key"}], "failed": [{"id", "key", "error", "detail"}]}
    """
    if (key is None) == (not ids):
        raise click.UsageError("Give either KEY or --id.")
    wanted = {"key": key} if key is not None else {"ids": list(dict.fromkeys(ids))}
    results = api.post("/api/trash/restore", wanted)["results"]
    report([_outcome(result) for result in results], "restored", as_json, lambda value: str(value["key"]))


@trash.command()
@click.argument("prefix", default="")
@click.option("--yes", is_flag=True, help="Required: purged images cannot be restored.")
@json_option
@api_options("web")
def purge(prefix: str, yes: bool, as_json: bool, api: ApiClient) -> None:
    """Remove what is in the trash for good: all of it, or keys that start with PREFIX. For administrators.

    JSON: {"purged": number}
    """
    if not yes:
        raise click.UsageError("Purged images cannot be restored: add --yes to go on.")
    found = api.post("/api/trash/purge", {"prefix": prefix})
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['purged']} images purged")


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    deleted, until = moment(entry["deleted_at"]), moment(entry["until"])
    return entry["id"], entry["key"], entry["version"], amount(entry["size_bytes"]), deleted, until, entry["owner"]


def _outcome(result: dict[str, Any]) -> Outcome:
    subject = {"id": result["id"], "key": result["key"]}
    if "detail" not in result:
        return Outcome(subject, subject)
    return Outcome(subject, error=_ERRORS.get(result["status"], ElasticImagesError)(result["detail"]))
