"""`export`: every image into files, with a manifest."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from elastic_images.cli.api_client import ApiClient, api_options
from elastic_images.cli.errors import FAILED, Failure, end_with, exit_code_of
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, print_json, printable
from elastic_images.cli.parallel import in_parallel, with_progress
from elastic_images.cli.transfer.exporter import Exported, Exporter, remove_leftovers
from elastic_images.cli.transfer.manifest import ManifestWriter
from elastic_images.cli.transfer.retries import all_images


class Tally:
    """What an export came to."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.size_bytes = 0
        self.failed: list[Exported] = []

    def add(self, one: Exported) -> None:
        """Count what became of one image."""
        if one.image is not None:
            self.counts["exported" if one.fetched else "same"] += 1
            self.size_bytes += one.image["size_bytes"]
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
@click.option("--prefix", default="", help="Only the images whose key begins so.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Images at a time.")
@json_option
@api_options("web")
def export(folder: Path, prefix: str, jobs: int, as_json: bool, api: ApiClient) -> None:
    """Write every image into FOLDER, with all its facts; `import` restores both.

    The images go to files below FOLDER/images, under names that any disk can hold. Which file is which image is in
    FOLDER/elastic-images-manifest.jsonl: a line of JSON for each, with its key, its file and its facts. It is written
    last. Images are read as visitors read them, so they pass through the caches.

    Run again, an export goes on where it stopped; later, it fetches what has changed. Files of images that are gone
    stay, and are not in the manifest any more. The manifest is that of the last export: use a folder for each prefix.

    JSON: {"folder", "manifest", "exported": n, "same": n, "gone": n, "size_bytes": n, "failed": [{"key", "error",
    "detail"}]}; same: the file was there, gone: deleted meanwhile.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest, tally = _export(api, folder.resolve(), prefix, jobs)
    except OSError as error:
        raise Failure(f"{error.filename or folder} cannot be written: {error.strerror}.", FAILED) from error
    if as_json:
        print_json({"folder": str(folder), "manifest": str(manifest), **tally.to_json()})
    else:
        counts = tally.counts
        words = f"{counts['exported']} images exported, {counts['same']} were there, {amount(tally.size_bytes)} in all."
        click.echo(words + (f" {counts['gone']} were deleted meanwhile." if counts["gone"] else ""))
    for one in tally.failed:
        click.echo(f"elastic-images: {printable(one.key)}: {one.error}", err=True)
    end_with(exit_code_of(one.error) for one in tally.failed if one.error)


def _export(api: ApiClient, folder: Path, prefix: str, jobs: int) -> tuple[Path, Tally]:
    tally = Tally()
    with ManifestWriter(folder) as manifest:
        exporter, images = Exporter(api, folder), all_images(api, prefix)
        with closing(in_parallel(exporter.export, images, jobs)) as results:
            for one in with_progress(results, "Exporting", lambda: sum(1 for _ in all_images(api, prefix))):
                tally.add(one)
                if one.image is not None:
                    manifest.add(one.file, one.image)
        remove_leftovers(folder)
        return manifest.finish(), tally
