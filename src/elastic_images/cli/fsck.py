"""`fsck`: compares the catalog with the object store, and repairs what differs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from elastic_images.cli.errors import FAILED
from elastic_images.cli.existing_system import existing_database
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import amount, print_json, printable
from elastic_images.core.errors import InvalidRequest
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from elastic_images.storage.upkeep.fsck import Report
    from elastic_images.storage.upkeep.repair import Repaired


@click.command()
@click.option("--digests", is_flag=True, help="Also read every image and verify its SHA-256.")
@click.option("--repair", is_flag=True, help="Say what a repair would do; with --yes, do it.")
@click.option("--from", "backup", metavar="BACKUP", help="Repair damaged and lost images from this backup.")
@click.option("--yes", is_flag=True, help="With --repair: do it.")
@click.option("--dry-run", is_flag=True, help="With --repair: only say what it would do, even with --yes.")
@json_option
@settings_options("data", "database", "object_store")
def fsck(
    digests: bool, repair: bool, backup: str | None, yes: bool, dry_run: bool, as_json: bool, settings: Settings
) -> None:
    """Compare the catalog with the object store and report differences. The system may be running.

    Unreferenced objects younger than a day may belong to an upload in progress. The exit code is 0 if every image, also
    in the trash, has its bytes, otherwise 1.

    With --repair --yes, older unreferenced objects are moved to quarantine/ in the object store, where you can delete
    them, and with --from, damaged and lost images are restored from BACKUP, the DEST of `elastic-images backup`. Add
    --digests to find all damage. An interrupted repair can be run again. The exit code is 0 if every image has its
    bytes afterwards. Without --yes nothing is changed.

    JSON: {"healthy", "images", "objects", "waiting", "young", "unreferenced", "partial", "missing", "wrong_size",
    "wrong_digest", "recovered", "repair": {"dry_run", "restored", "not_restored", "quarantined", "cleared"} or null}
    """
    if not repair and (backup or yes or dry_run):
        raise InvalidRequest("--from, --yes and --dry-run need --repair.")
    report, repaired = _run(settings, digests=digests, repair=repair, backup=backup, dry_run=dry_run or not yes)
    if as_json:
        print_json({**report.to_json(), "repair": asdict(repaired) if repaired else None})
    else:
        _print(report)
        if repaired:
            _print_repair(repaired)
    if repaired.not_restored if repaired and not repaired.dry_run else not report.healthy:
        sys.exit(FAILED)


def _run(
    settings: Settings, *, digests: bool, repair: bool, backup: str | None, dry_run: bool
) -> tuple[Report, Repaired | None]:
    from elastic_images.backup.destination import Destination
    from elastic_images.storage.upkeep.adoption import system_store
    from elastic_images.storage.upkeep.fsck import fsck as compare
    from elastic_images.storage.upkeep.repair import Repairer

    destination = Destination(backup) if backup else None
    if destination:
        destination.find(None)  # fail early on a mistyped place
    with existing_database(settings) as engine:
        store = system_store(engine, settings.object_store)
        report = compare(store, engine, check_digests=digests)
        if not repair:
            return report, None
        repairer = Repairer(store, engine, destination.objects if destination else None)
        return report, repairer.repair(report, dry_run=dry_run)


def _print_repair(repaired: Repaired) -> None:
    would = "would be " if repaired.dry_run else ""
    for row in repaired.restored:
        click.echo(f"     {printable(row.key)}: {would}restored from the backup")
    for row in repaired.not_restored:
        click.echo(f"BAD  {printable(row.key)}: no backup of its bytes; upload it again")
    for info in repaired.quarantined:
        click.echo(f"     {info.name}: {would}moved to quarantine/ in the object store")
    click.echo(
        f"{len(repaired.restored)} images {would}restored, {len(repaired.not_restored)} cannot be, "
        f"{len(repaired.quarantined)} objects {would}moved to the quarantine"
    )
    if repaired.dry_run and (repaired.restored or repaired.quarantined or repaired.cleared):
        click.echo("Nothing was changed. Add --yes to do it.")


def _print(report: Report) -> None:
    click.echo(f"{report.images} images, {report.objects} objects, {report.waiting} of them awaiting deletion")
    for label, images in (
        ("object missing", report.missing),
        ("object has the wrong size", report.wrong_size),
        ("object has the wrong bytes", report.wrong_digest),
    ):
        for image in images:
            place = " (in the trash)" if image.trash else ""
            click.echo(f"BAD  {printable(image.key)}{place}: {label} ({image.object_name})")
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
