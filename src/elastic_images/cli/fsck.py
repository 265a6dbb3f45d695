"""`fsck`: compares the catalog with the object store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from elastic_images.cli.errors import FAILED
from elastic_images.cli.existing_system import existing_database
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import amount, print_json, printable
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from elastic_images.storage.upkeep.fsck import Report


@click.command()
@click.option("--digests", is_flag=True, help="Also read every image and verify its SHA-256.")
@json_option
@settings_options("data", "database", "object_store")
def fsck(digests: bool, as_json: bool, settings: Settings) -> None:
    """Compare the catalog with the object store and report differences. Changes nothing; the system may be running.

    Unreferenced objects younger than a day may belong to an upload in progress. The exit code is 0 if every image has
    its bytes, otherwise 1.

    JSON: {"healthy", "images", "objects", "waiting", "young", "unreferenced", "partial", "missing", "wrong_size",
    "wrong_digest"}
    """
    report = _run(settings, digests=digests)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    if not report.healthy:
        sys.exit(FAILED)


def _run(settings: Settings, *, digests: bool) -> Report:
    from elastic_images.storage.upkeep.adoption import system_store
    from elastic_images.storage.upkeep.fsck import fsck as compare

    with existing_database(settings) as engine:
        return compare(system_store(engine, settings.object_store), engine, check_digests=digests)


def _print(report: Report) -> None:
    click.echo(f"{report.images} images, {report.objects} objects, {report.waiting} of them awaiting deletion")
    for label, images in (
        ("object missing", report.missing),
        ("object has the wrong size", report.wrong_size),
        ("object has the wrong bytes", report.wrong_digest),
    ):
        for image in images:
            click.echo(f"BAD  {printable(image.key)}: {label} ({image.object_name})")
    for label, objects in (
        ("unreferenced, but less than a day old", report.young),
        ("unreferenced", report.unreferenced),
        ("incomplete", report.partial),
    ):
        if objects:
            click.echo(f"{len(objects)} objects are {label}, {amount(sum(info.size_bytes for info in objects))}:")
        for info in objects:
            click.echo(f"     {info.name}")
    click.echo("Every image has its bytes." if report.healthy else "Some images have lost their bytes.")
