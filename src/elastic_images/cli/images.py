"""`upload`, `get`, `ls` and `rm`: images, through the REST API of `web`."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import web_options
from elastic_images.cli.errors import FAILED, Failure
from elastic_images.cli.options import json_option
from elastic_images.cli.outcomes import Outcome, outcomes_of, report
from elastic_images.cli.output import amount, moment, print_json, print_table, printable
from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.core.visibility import VISIBILITIES, Visibility

if TYPE_CHECKING:
    from elastic_images.client import Client, Image


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--key", help="The key of a single file. [default: the file's name]")
@click.option("--prefix", default="", help="Prepended to file names to make keys: 'holidays/'.")
@click.option("--visibility", type=click.Choice(VISIBILITIES), help="Who may see them. [default: as the system is set]")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Parallel uploads.")
@json_option
@web_options()
def upload(
    files: tuple[str, ...],
    key: str | None,
    prefix: str,
    visibility: Visibility | None,
    jobs: int,
    as_json: bool,
    client: Client,
) -> None:
    """Upload image FILES. Each file's name is its key.

    Existing images are replaced. If a file fails, the others are still uploaded; the exit code is that of the failure,
    or 1 for failures of several kinds.

    JSON: {"uploaded": [{"file", "created", "image": metadata}], "failed": [{"file", "key", "error", "detail"}]}
    """
    if key is not None and len(files) > 1:
        raise click.UsageError("--key works with a single file only.")
    pairs = [(file, key if key is not None else prefix + _key_of(file)) for file in files]

    def one(pair: tuple[str, str]) -> Outcome:
        file, wanted = pair
        subject = {"file": file, "key": wanted}
        try:
            image = client.upload(wanted, file, visibility=visibility)
        except OSError as error:
            return Outcome(subject, error=InvalidRequest(f"{file} cannot be read: {error.strerror}."))
        except ElasticImagesError as error:
            return Outcome(subject, error=error)
        return Outcome(subject, {"file": file, "created": image.created, "image": image.to_json()})

    outcomes = outcomes_of(one, pairs, jobs, "Uploading")
    report(outcomes, "uploaded", as_json, lambda value: f"{value['image']['key']}  {value['image']['sha256'][:12]}")


@click.command()
@click.argument("key")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="The file to write; '-' means standard output.")
@web_options()
def get(key: str, output: str | None, client: Client) -> None:
    """Download the image KEY to a file or to standard output.

    An existing file is replaced only after the whole image has arrived.
    """
    if output in (None, "-") and sys.stdout.isatty():
        raise click.UsageError("An image is binary data: name a file with --output.")
    try:
        if output in (None, "-"):
            with client.open(key) as image:
                sys.stdout.buffer.writelines(image)
            sys.stdout.buffer.flush()
        else:
            client.download(key, str(output))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror}.", FAILED) from error


@click.command()
@click.argument("prefix", default="")
@click.option("--long", "-l", "long", is_flag=True, help="Also show size, format, dimensions, time, visibility, owner.")
@json_option
@web_options()
def ls(prefix: str, long: bool, as_json: bool, client: Client) -> None:
    """List all keys, or those that start with PREFIX.

    JSON: {"images": [metadata]}
    """
    images = client.iterate(prefix)
    if as_json:
        print_json({"images": [image.to_json() for image in images]})
    elif long:
        headings = ("KEY", "SIZE", "FORMAT", "PIXELS", "CHANGED (UTC)", "VISIBILITY", "OWNER")
        print_table(headings, map(_long, images))
    else:
        for image in images:
            click.echo(printable(image.key))


@click.command()
@click.argument("keys", nargs=-1, required=True)
@json_option
@web_options()
def rm(keys: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Delete the images with these KEYS.

    JSON: {"deleted": [{"key"}], "failed": [{"key", "error", "detail"}]}
    """

    def one(key: str) -> Outcome:
        try:
            client.delete(key)
        except ElasticImagesError as error:
            return Outcome({"key": key}, error=error)
        return Outcome({"key": key}, {"key": key})

    outcomes = outcomes_of(one, list(dict.fromkeys(keys)), 4, "Deleting")
    report(outcomes, "deleted", as_json, lambda value: str(value["key"]))


def _key_of(file: str) -> str:
    # macOS file names have a different Unicode normal form from keys.
    return unicodedata.normalize("NFC", Path(file).name)


def _long(image: Image) -> tuple[Any, ...]:
    pixels, changed = f"{image.width}x{image.height}", moment(image.updated_at)
    return image.key, amount(image.size_bytes), image.format, pixels, changed, image.visibility, image.owner
