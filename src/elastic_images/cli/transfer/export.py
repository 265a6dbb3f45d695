"""`export`: every image to a file, with a manifest."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import web_options
from elastic_images.cli.errors import FAILED, Failure, end_with, exit_code_of
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, print_json, printable
from elastic_images.cli.parallel import in_parallel
from elastic_images.cli.progress import counted
from elastic_images.cli.transfer.exporter import Exported, Exporter, remove_leftovers
from elastic_images.cli.transfer.manifest import ManifestWriter

if TYPE_CHECKING:
    from elastic_images.client import Client


class ExportSummary:
    """The counts and failures of an export."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.size_bytes = 0
        self.failed: list[Exported] = []

    def add(self, one: Exported) -> None:
        """Add the result for one image."""
        if one.image is not None:
            self.counts["exported" if one.fetched else "same"] += 1
            self.size_bytes += one.image.size_bytes
        elif one.error is None:
            self.counts["gone"] += 1
        else:
            self.failed.append(one)

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        failed = [
            {"key": one.key, "error": one.error.slug, "detail": str(one.error)} for one in self.failed if one.error
        ]
        counts = {name: self.counts[name] for name in ("exported", "same", "gone")}
        return {**counts, "size_bytes": self.size_bytes, "failed": failed}


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--prefix", default="", help="Only images whose key starts with this.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Parallel downloads.")
@json_option
@web_options(patient=True)
def export(folder: Path, prefix: str, jobs: int, as_json: bool, client: Client) -> None:
    """Export every image and its metadata to FOLDER. `import` restores both.

    Images go to FOLDER/images, under file names that are safe on every file system. The manifest,
    FOLDER/elastic-images-manifest.jsonl, has one line of JSON per image with its key, file and metadata, and is
    written last. Images are read the way visitors read them, through the caches.

    Repeat the command to resume an export, or later to fetch what has changed. Files of deleted images stay, but leave
    the manifest. The manifest describes the last export only: use a separate folder for each prefix.

    JSON: {"folder", "manifest", "exported": n, "same": n, "gone": n, "size_bytes": n, "failed": [{"key", "error",
    "detail"}]}. same: the file already existed; gone: the image was deleted meanwhile.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest, summary = _export(client, folder.resolve(), prefix, jobs)
    except OSError as error:
        raise Failure(f"{error.filename or folder} cannot be written: {error.strerror}.", FAILED) from error
    if as_json:
        print_json({"folder": str(folder), "manifest": str(manifest), **summary.to_json()})
    else:
        counts = summary.counts
        words = (
            f"{counts['exported']} images exported, {counts['same']} unchanged, {amount(summary.size_bytes)} in all."
        )
        click.echo(words + (f" {counts['gone']} were deleted meanwhile." if counts["gone"] else ""))
    for one in summary.failed:
        click.echo(f"elastic-images: {printable(one.key)}: {one.error}", err=True)
    end_with(exit_code_of(one.error) for one in summary.failed if one.error)


def _export(client: Client, folder: Path, prefix: str, jobs: int) -> tuple[Path, ExportSummary]:
    summary = ExportSummary()
    with ManifestWriter(folder) as manifest:
        exporter = Exporter(client, folder)
        with closing(in_parallel(exporter.export, client.iterate(prefix), jobs)) as results:
            for one in counted(results, "Exporting", lambda: sum(1 for _ in client.iterate(prefix))):
                summary.add(one)
                if one.image is not None:
                    manifest.add(one.file, one.image.to_json())
        remove_leftovers(folder)
        return manifest.finish(), summary
