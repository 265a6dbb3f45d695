"""`upload`, `get`, `ls` and `rm`: images, through the REST API of `web`."""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from elastic_images.cli.api_client import ApiClient, api_options
from elastic_images.cli.errors import FAILED, Failure, end_with, exit_code_of
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, moment, print_json, print_table, printable
from elastic_images.cli.parallel import in_parallel
from elastic_images.cli.progress import counted
from elastic_images.core.errors import ElasticImagesError, InvalidRequest, Unavailable

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one file or key."""

    subject: dict[str, Any]
    value: dict[str, Any] | None = None
    error: ElasticImagesError | None = None

    def failure(self) -> dict[str, Any]:
        """The failure as JSON."""
        return {**self.subject, "error": self.error.slug if self.error else None, "detail": str(self.error)}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--key", help="The key of a single file. [default: the file's name]")
@click.option("--prefix", default="", help="Prepended to file names to make keys: 'holidays/'.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Parallel uploads.")
@json_option
@api_options("web")
def upload(files: tuple[str, ...], key: str | None, prefix: str, jobs: int, as_json: bool, api: ApiClient) -> None:
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
            with Path(file).open("rb") as stream:
                created, metadata = api.upload(wanted, stream, os.fstat(stream.fileno()).st_size)
        except OSError as error:
            return Outcome(subject, error=InvalidRequest(f"{file} cannot be read: {error.strerror}."))
        except ElasticImagesError as error:
            return Outcome(subject, error=error)
        return Outcome(subject, {"file": file, "created": created, "image": metadata})

    outcomes = _outcomes(one, pairs, jobs, "Uploading")
    report(outcomes, "uploaded", as_json, lambda value: f"{value['image']['key']}  {value['image']['sha256'][:12]}")


@click.command()
@click.argument("key")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="The file to write; '-' means standard output.")
@api_options("web")
def get(key: str, output: str | None, api: ApiClient) -> None:
    """Download the image KEY to a file or to standard output.

    An existing file is replaced only after the whole image has arrived.
    """
    if output in (None, "-") and sys.stdout.isatty():
        raise click.UsageError("An image is binary data: name a file with --output.")
    from urllib3.exceptions import HTTPError

    answer = api.fetch(key)
    with contextlib.closing(answer):
        try:
            if output in (None, "-"):
                _copy(answer.stream(_CHUNK), sys.stdout.buffer)
            else:
                _replace(Path(str(output)), answer.stream(_CHUNK))
        except HTTPError as error:
            raise Unavailable("The download was interrupted; nothing was saved.") from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failure(f"{output} cannot be written: {error.strerror}.", FAILED) from error


@click.command()
@click.argument("prefix", default="")
@click.option("--long", "-l", "long", is_flag=True, help="Also show size, format, dimensions, time and owner.")
@json_option
@api_options("web")
def ls(prefix: str, long: bool, as_json: bool, api: ApiClient) -> None:
    """List all keys, or those that start with PREFIX.

    JSON: {"images": [metadata]}
    """
    images = api.images(prefix)
    if as_json:
        print_json({"images": list(images)})
    elif long:
        print_table(("KEY", "SIZE", "FORMAT", "PIXELS", "CHANGED (UTC)", "OWNER"), map(_long, images))
    else:
        for image in images:
            click.echo(printable(image["key"]))


@click.command()
@click.argument("keys", nargs=-1, required=True)
@json_option
@api_options("web")
def rm(keys: tuple[str, ...], as_json: bool, api: ApiClient) -> None:
    """Delete the images with these KEYS.

    JSON: {"deleted": [{"key"}], "failed": [{"key", "error", "detail"}]}
    """

    def one(key: str) -> Outcome:
        try:
            api.delete(key)
        except ElasticImagesError as error:
            return Outcome({"key": key}, error=error)
        return Outcome({"key": key}, {"key": key})

    outcomes = _outcomes(one, list(dict.fromkeys(keys)), 4, "Deleting")
    report(outcomes, "deleted", as_json, lambda value: str(value["key"]))


def _key_of(file: str) -> str:
    # macOS file names have a different Unicode normal form from keys.
    return unicodedata.normalize("NFC", Path(file).name)


def _outcomes(one: Callable[[Any], Outcome], items: Sequence[Any], jobs: int, label: str) -> list[Outcome]:
    """The outcome of each item, in order, with a progress bar if there are several."""
    results = in_parallel(one, items, min(jobs, len(items)))
    return list(counted(results, label, lambda: len(items)) if len(items) > 1 else results)


def report(outcomes: list[Outcome], done: str, as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """Print successes and failures, and exit with the code of the failures."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    values = [outcome.value for outcome in outcomes if outcome.value is not None]
    if as_json:
        print_json({done: values, "failed": [outcome.failure() for outcome in failed]})
    else:
        for value in values:
            click.echo(printable(line(value)))
    for outcome in failed:
        name = outcome.subject.get("file") or outcome.subject["key"] or outcome.subject.get("id")
        click.echo(f"elastic-images: {printable(name)}: {outcome.error}", err=True)
    end_with(exit_code_of(outcome.error) for outcome in failed if outcome.error is not None)


def _long(image: dict[str, Any]) -> tuple[Any, ...]:
    pixels = f"{image['width']}x{image['height']}"
    changed = moment(image["updated_at"])
    return (image["key"], amount(image["size_bytes"]), image["format"], pixels, changed, image["owner"])


def _copy(chunks: Iterator[bytes], target: IO[bytes]) -> None:
    for chunk in chunks:
        target.write(chunk)
    target.flush()


def _replace(file: Path, chunks: Iterator[bytes]) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as target:
            _copy(chunks, target)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
