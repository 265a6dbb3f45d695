"""`scrub`: verifies every stored object, through the manager's API."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import manager_options
from elastic_images.cli.errors import FAILED
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, print_json, printable
from elastic_images.cli.progress import progress
from elastic_images.core.errors import InvalidRequest

if TYPE_CHECKING:
    from elastic_images.client.api import Api

_LOOK_SECONDS = 1.0


@click.command()
@click.argument("action", type=click.Choice(["status"]), required=False)
@click.option(
    "--now", is_flag=True, help="Start a round now, as fast as readers allow, instead of waiting for the next one."
)
@click.option("--wait", is_flag=True, help="Wait until the round has ended; the exit code is 1 if an image is bad.")
@json_option
@manager_options
def scrub(action: str | None, now: bool, wait: bool, as_json: bool, api: Api) -> None:
    """Verify the SHA-256 of every stored object. Storage also does this by itself, within SCRUB_DAYS.

    `scrub status` shows how far it is, `scrub --now` starts over at once. Images found damaged or lost are listed here
    and by the manager: upload them again, or restore them from a backup.

    JSON: {"running", "requested", "started_at", "finished_at", "requested_at", "objects", "size_bytes", "bad",
    "total_objects", "total_bytes", "days", "bad_images": [{"key", "state", "detail", "found_at"}]}
    """
    if now == (action is not None) or (wait and not now):
        raise InvalidRequest("Use `scrub status`, or `scrub --now` with or without --wait.")
    status = api.json("POST", "/api/scrub") if now else api.get("/api/scrub")
    if wait:
        status = _wait(api, status)
    status["bad_images"] = [image for page in api.pages("/api/bad_images") for image in page["images"]]
    if as_json:
        print_json(status)
    else:
        _print(status)
    if wait and status["bad_images"]:
        sys.exit(FAILED)


def _wait(api: Api, status: dict[str, Any]) -> dict[str, Any]:
    mine, done = status["requested_at"], 0
    with progress("verified") as advance:
        while status["requested_at"] is not None and status["requested_at"] <= mine:
            time.sleep(_LOOK_SECONDS)
            status = api.get("/api/scrub")
            seen = 0 if status["requested"] else status["size_bytes"]
            advance(max(0, seen - done), status["total_bytes"])
            done = max(done, seen)
    return status


def _print(status: dict[str, Any]) -> None:
    done = f"{status['objects']} of {status['total_objects']} objects, {amount(status['size_bytes'])}"
    if status["requested"]:
        click.echo("A round was requested and starts within seconds.")
    elif status["running"]:
        click.echo(f"A round is running: {done}")
    elif status["finished_at"] is not None:
        ended = time.strftime("%Y-%m-%d %H:%M", time.localtime(status["finished_at"]))
        click.echo(f"The last round ended {ended}: {done}")
    else:
        click.echo("No round has ended yet.")
    for image in status["bad_images"]:
        click.echo(f"BAD  {printable(image['key'])}: {image['state']}. {image['detail']}")
    if status["bad_images"]:
        click.echo("Upload these images again, or restore them: elastic-images fsck --repair --from BACKUP")
