"""The files of a folder that is imported."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elastic_images.imaging.structure import sniff

_HEAD_BYTES = 4096


@dataclass(slots=True)
class Found:
    """What a walk through a folder found. Paths are relative to it, with `/` between their parts."""

    files: list[str] = field(default_factory=list)
    """In the order of folders and names, which is the same each time."""
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    """What is no file that could be offered, and why. Hidden files are left aside without a word."""


def find_files(folder: Path) -> Found:
    """All files in a folder and the folders in it.

    Links to files are followed where they stay in the folder; links to folders are not, they could go in circles.
    """
    found, root = Found(), folder.resolve()
    for place, entry in _entries(folder, "", found):
        if entry.is_file(follow_symlinks=False) or _leads_to_a_file(root, Path(entry.path)):
            found.files.append(place)
        else:
            found.passed_over.append((place, "a link that is not followed" if entry.is_symlink() else "no file"))
    return found


def key_of(place: str) -> str:
    """The key of a file at this relative path. macOS gives names in another normal form than keys have."""
    return unicodedata.normalize("NFC", place)


def inside(folder: Path, place: str) -> Path | None:
    """The file at this relative path; None where there is none, or where it is outside of the folder by a link."""
    path = folder / place
    return path if _leads_to_a_file(folder.resolve(), path) else None


def is_image(path: Path) -> bool:
    """Whether the file's first bytes are those of a format that is stored. Its name says nothing. Raises OSError."""
    with path.open("rb") as stream:
        return sniff(stream.read(_HEAD_BYTES)) is not None


def shown(place: str) -> str:
    """A path for people and JSON: names of files may be no valid Unicode."""
    return os.fsencode(place).decode("utf-8", "replace")


def _entries(folder: Path, above: str, found: Found) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder but hidden names and folders themselves."""
    try:
        with os.scandir(folder) as entries:
            present = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        found.passed_over.append((above or ".", f"a folder that cannot be read: {error.strerror}"))
        return
    for entry in present:
        place = f"{above}/{entry.name}" if above else entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), place, found)
        else:
            yield place, entry


def _leads_to_a_file(root: Path, path: Path) -> bool:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return False  # it leads nowhere, or in circles
    return target.is_file() and target.is_relative_to(root)
