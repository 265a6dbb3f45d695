"""`import`: the images of a folder, or of an export with their metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import web_options
from elastic_images.cli.errors import CONFLICT, FAILED, Failure, end_with, exit_code_of
from elastic_images.cli.options import json_option
from elastic_images.cli.output import print_json, printable
from elastic_images.cli.parallel import in_parallel
from elastic_images.cli.progress import counted
from elastic_images.cli.transfer.folder_scan import FolderScan, find_files, inside, key_of, shown
from elastic_images.cli.transfer.importer import Candidate, Imported, Importer, OnConflict
from elastic_images.cli.transfer.manifest import check_manifest, has_manifest, read_manifest
from elastic_images.core.errors import Conflict, ElasticImagesError, NotFound
from elastic_images.core.keys import check_key

if TYPE_CHECKING:
    from elastic_images.client import Client

_SHOWN_OTHER_FACTS = 10


class ImportSummary:
    """The counts and failures of an import."""

    def __init__(self, passed_over: Iterable[tuple[str, str]] = ()) -> None:
        self.counts: Counter[str] = Counter()
        self.reported: dict[str, list[Imported]] = {"conflict": [], "not_image": [], "failed": []}
        self.other_facts: list[Imported] = []
        self.passed_over = [(shown(relative), why) for relative, why in passed_over]

    def add(self, one: Imported) -> None:
        """Add the result for one file."""
        self.counts[one.kind] += 1
        if one.kind in self.reported:
            self.reported[one.kind].append(one)
        if one.other_facts:
            self.other_facts.append(one)

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            **{name: self.counts[name] for name in ("imported", "replaced", "same")},
            "conflicts": [_names(one) for one in self.reported["conflict"]],
            "not_images": [one.candidate.path for one in self.reported["not_image"]],
            "passed_over": [{"file": relative, "why": why} for relative, why in self.passed_over],
            "failed": [
                {**_names(one), "error": one.error.slug, "detail": str(one.error)}
                for one in self.reported["failed"]
                if one.error
            ],
            "other_facts": [{"key": one.candidate.key, "facts": list(one.other_facts)} for one in self.other_facts],
        }

    def words(self) -> str:
        """For people."""
        counts = self.counts
        texts = [f"{counts['imported']} images imported", f"{counts['same']} unchanged"]
        more = {"replaced": "replaced", "conflict": "skipped, because other images have their keys", "failed": "failed"}
        texts += [f"{counts[kind]} {text}" for kind, text in more.items() if counts[kind]]
        if counts["not_image"]:
            texts.append(f"{counts['not_image']} files are not images")
        return ", ".join(texts) + "."

    def lines(self) -> Iterator[str]:
        """What to report about individual files."""
        yield from (f"{relative}: skipped, {why}" for relative, why in self.passed_over)
        yield from (f"{one.candidate.path}: skipped, not an image" for one in self.reported["not_image"])
        yield from (
            f"{one.candidate.path}: skipped, {one.candidate.key} is a different image"
            for one in self.reported["conflict"]
        )
        yield from (f"{one.candidate.path}: {one.error}" for one in self.reported["failed"])
        for one in self.other_facts[:_SHOWN_OTHER_FACTS]:
            yield f"{one.candidate.key}: differs from the manifest: {', '.join(one.other_facts)}"
        if (left := len(self.other_facts) - _SHOWN_OTHER_FACTS) > 0:
            yield f"{left} more differ from the manifest (--json lists them)"

    def codes(self) -> Iterator[int]:
        """The exit codes for what was not imported."""
        yield from (exit_code_of(one.error) for one in self.reported["failed"] if one.error)
        yield from (CONFLICT for _ in self.reported["conflict"])


@click.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--prefix", default="", help="Prepended to each key: 'holidays/'.")
@click.option(
    "--on-conflict",
    type=click.Choice(["skip", "replace", "fail"]),
    default="skip",
    show_default=True,
    help="If a key already holds a different image: skip and report it, replace it, or stop.",
)
@click.option("--without-facts", is_flag=True, help="Import an export's images as new ones, owned by you.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Parallel uploads.")
@json_option
@web_options(patient=True)
def import_(
    folder: Path,
    prefix: str,
    on_conflict: OnConflict,
    without_facts: bool,
    jobs: int,
    as_json: bool,
    client: Client,
) -> None:
    """Import all images in FOLDER and its subfolders.

    A file's path inside FOLDER becomes its key (holidays/beach.jpg). Files that are not images are reported and
    skipped; hidden files and folders are ignored; links are followed if they lead to a file inside FOLDER. Images that
    are already stored are left alone, so repeating the command resumes an import.

    If FOLDER has the manifest of an `export`, its images are restored with their keys, owners, times and versions. Only
    an administrator may do that. Owners are matched by name: create the users first. Versions and times never go back,
    so an image whose key was used here before may get newer ones; this is reported.

    The exit code is 6 if keys hold other images, that of the failures if files fail, and 1 for both.

    JSON: {"imported": n, "replaced": n, "same": n, "conflicts": [{"file", "key"}], "not_images": [file],
    "passed_over": [{"file", "why"}], "failed": [{"file", "key", "error", "detail"}], "other_facts": [{"key",
    "facts": [name]}]}
    """
    check_key(f"{prefix}x")
    try:
        candidates, count, summary = _candidates(folder, prefix, with_facts=not without_facts)
        _import(Importer(client, on_conflict), candidates, count, summary, jobs)
    except OSError as error:
        raise Failure(f"{error.filename or folder} cannot be read: {error.strerror}.", FAILED) from error
    if as_json:
        print_json(summary.to_json())
    else:
        click.echo(summary.words())
    for line in summary.lines():
        click.echo(f"elastic-images: {printable(line)}", err=True)
    end_with(summary.codes())


def _import(importer: Importer, candidates: Iterator[Candidate], count: int, summary: ImportSummary, jobs: int) -> None:
    try:
        with closing(in_parallel(importer.import_, candidates, jobs)) as results:
            for one in counted(results, "Importing", lambda: count):
                summary.add(one)
    except (ElasticImagesError, Failure):
        click.echo(f"elastic-images: import stopped; run it again to resume: {summary.words()}", err=True)
        raise


def _candidates(folder: Path, prefix: str, *, with_facts: bool) -> tuple[Iterator[Candidate], int, ImportSummary]:
    """The files to import, their number, and a summary with what was skipped."""
    if has_manifest(folder):
        return _manifest_candidates(folder, prefix, with_facts=with_facts), check_manifest(folder), ImportSummary()
    found = find_files(folder)
    return _folder_candidates(folder, prefix, found), len(found.files), ImportSummary(found.passed_over)


def _manifest_candidates(folder: Path, prefix: str, *, with_facts: bool) -> Iterator[Candidate]:
    for entry in read_manifest(folder):
        file = inside(folder, entry.file)
        error = None if file else NotFound("The file is missing from the folder.")
        kept = entry.kept if with_facts else None
        facts = entry.facts if with_facts else {"sha256": entry.sha256}
        yield Candidate(folder / entry.file, entry.file, prefix + entry.key, facts, kept, error)


def _folder_candidates(folder: Path, prefix: str, found: FolderScan) -> Iterator[Candidate]:
    taken: dict[str, str] = {}
    for relative in found.files:
        key = prefix + key_of(relative)
        first = taken.setdefault(key, relative)
        # The same name in two Unicode normal forms.
        error = None if first == relative else Conflict("Another file, whose name looks the same, has this key.")
        yield Candidate(folder / relative, shown(relative), key, error=error)


def _names(one: Imported) -> dict[str, str]:
    return {"file": one.candidate.path, "key": shown(one.candidate.key)}
