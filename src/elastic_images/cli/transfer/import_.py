"""`import`: the images of a folder, or those of an export with all their facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from elastic_images.cli.api_client import ApiClient, api_options
from elastic_images.cli.errors import CONFLICT, FAILED, Failure, end_with, exit_code_of
from elastic_images.cli.options import json_option
from elastic_images.cli.output import print_json, printable
from elastic_images.cli.parallel import in_parallel, with_progress
from elastic_images.cli.transfer.folder_scan import Found, find_files, inside, key_of, shown
from elastic_images.cli.transfer.importer import Imported, Importer, Offer, OnConflict
from elastic_images.cli.transfer.manifest import check_manifest, has_manifest, read_manifest
from elastic_images.core.errors import Conflict, ElasticImagesError, NotFound
from elastic_images.core.keys import check_key

_SHOWN_OTHER_FACTS = 10


class Tally:
    """What an import came to."""

    def __init__(self, passed_over: Iterable[tuple[str, str]] = ()) -> None:
        self.counts: Counter[str] = Counter()
        self.told: dict[str, list[Imported]] = {"conflict": [], "not_image": [], "failed": []}
        self.other_facts: list[Imported] = []
        self.passed_over = [(shown(place), why) for place, why in passed_over]

    def add(self, one: Imported) -> None:
        """Count what became of one file."""
        self.counts[one.kind] += 1
        if one.kind in self.told:
            self.told[one.kind].append(one)
        if one.other_facts:
            self.other_facts.append(one)

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            **{name: self.counts[name] for name in ("imported", "replaced", "same")},
            "conflicts": [_names(one) for one in self.told["conflict"]],
            "not_images": [one.offer.place for one in self.told["not_image"]],
            "passed_over": [{"file": place, "why": why} for place, why in self.passed_over],
            "failed": [
                {**_names(one), "error": one.error.slug, "detail": str(one.error)}
                for one in self.told["failed"]
                if one.error
            ],
            "other_facts": [{"key": one.offer.key, "facts": list(one.other_facts)} for one in self.other_facts],
        }

    def words(self) -> str:
        """For people."""
        counts = self.counts
        texts = [f"{counts['imported']} images imported", f"{counts['same']} were there"]
        more = {"replaced": "replaced", "conflict": "not, their keys have other bytes", "failed": "failed"}
        texts += [f"{counts[kind]} {text}" for kind, text in more.items() if counts[kind]]
        if counts["not_image"]:
            texts.append(f"{counts['not_image']} files are no images")
        return ", ".join(texts) + "."

    def lines(self) -> Iterator[str]:
        """What a person should know of single files."""
        yield from (f"{place}: {why}, left aside" for place, why in self.passed_over)
        yield from (f"{one.offer.place}: no image, left aside" for one in self.told["not_image"])
        yield from (f"{one.offer.place}: {one.offer.key} has other bytes" for one in self.told["conflict"])
        yield from (f"{one.offer.place}: {one.error}" for one in self.told["failed"])
        for one in self.other_facts[:_SHOWN_OTHER_FACTS]:
            yield f"{one.offer.key}: not as in the manifest: {', '.join(one.other_facts)}"
        if (left := len(self.other_facts) - _SHOWN_OTHER_FACTS) > 0:
            yield f"{left} more are not as in the manifest (--json tells which)"

    def codes(self) -> Iterator[int]:
        """The exit codes of what was not imported."""
        yield from (exit_code_of(one.error) for one in self.told["failed"] if one.error)
        yield from (CONFLICT for _ in self.told["conflict"])


@click.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--prefix", default="", help="Put before each key, 'holidays/' for example.")
@click.option(
    "--on-conflict",
    type=click.Choice(["skip", "replace", "fail"]),
    default="skip",
    show_default=True,
    help="Where a key is there with other bytes: leave and tell it, replace it, or stop.",
)
@click.option("--without-facts", is_flag=True, help="Import an export's images as new ones, of whoever imports them.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Images at a time.")
@json_option
@api_options("web")
def import_(
    folder: Path,
    prefix: str,
    on_conflict: OnConflict,
    without_facts: bool,
    jobs: int,
    as_json: bool,
    api: ApiClient,
) -> None:
    """Store the images of FOLDER and of the folders in it.

    A file's path inside FOLDER is its key (holidays/beach.jpg). Files that are no images by their bytes are told and
    left aside; hidden files and folders are passed over; links are followed where they lead to a file inside FOLDER.
    What is there with the same bytes is left as it is, so an import may be run again, and goes on where it stopped.

    Where FOLDER has the manifest of an `export`, its images are restored under their keys with owner, times and
    version, which only an administrator may do. The owner is found by name: create the users first. Versions and
    times never go back, so images of keys that were used here before may get newer ones; that is told.

    The exit code is 6 where keys have other bytes, that of the failures where files fail, and 1 for both.

    JSON: {"imported": n, "replaced": n, "same": n, "conflicts": [{"file", "key"}], "not_images": [file],
    "passed_over": [{"file", "why"}], "failed": [{"file", "key", "error", "detail"}], "other_facts": [{"key",
    "facts": [name]}]}
    """
    check_key(f"{prefix}x")
    try:
        offers, count, tally = _offers(folder, prefix, with_facts=not without_facts)
        _import(Importer(api, on_conflict), offers, count, tally, jobs)
    except OSError as error:
        raise Failure(f"{error.filename or folder} cannot be read: {error.strerror}.", FAILED) from error
    if as_json:
        print_json(tally.to_json())
    else:
        click.echo(tally.words())
    for line in tally.lines():
        click.echo(f"elastic-images: {printable(line)}", err=True)
    end_with(tally.codes())


def _import(importer: Importer, offers: Iterator[Offer], count: int, tally: Tally, jobs: int) -> None:
    try:
        with closing(in_parallel(importer.import_, offers, jobs)) as results:
            for one in with_progress(results, "Importing", lambda: count):
                tally.add(one)
    except (ElasticImagesError, Failure):
        click.echo(f"elastic-images: stopped, and can be run again: {tally.words()}", err=True)
        raise


def _offers(folder: Path, prefix: str, *, with_facts: bool) -> tuple[Iterator[Offer], int, Tally]:
    """What to import, how many these are, and what was found that is not imported."""
    if has_manifest(folder):
        return _listed_offers(folder, prefix, with_facts=with_facts), check_manifest(folder), Tally()
    found = find_files(folder)
    return _found_offers(folder, prefix, found), len(found.files), Tally(found.passed_over)


def _listed_offers(folder: Path, prefix: str, *, with_facts: bool) -> Iterator[Offer]:
    for listed in read_manifest(folder):
        file = inside(folder, listed.file)
        trouble = None if file else NotFound("There is no such file in the folder.")
        kept = listed.kept if with_facts else None
        facts = listed.facts if with_facts else {"sha256": listed.sha256}
        yield Offer(folder / listed.file, listed.file, prefix + listed.key, facts, kept, trouble)


def _found_offers(folder: Path, prefix: str, found: Found) -> Iterator[Offer]:
    taken: dict[str, str] = {}
    for place in found.files:
        key = prefix + key_of(place)
        first = taken.setdefault(key, place)
        # One name in two normal forms.
        trouble = None if first == place else Conflict("Another file, whose name looks the same, has this key.")
        yield Offer(folder / place, shown(place), key, trouble=trouble)


def _names(one: Imported) -> dict[str, str]:
    return {"file": one.offer.place, "key": shown(one.offer.key)}
