"""Finds the files to import in a folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elastic_images.imaging.formats import sniff

_HEAD_BYTES = 4096


@dataclass(slots=True)
class FolderScan:
    """What was found in a folder. Paths are relative to it and use `/`."""

    files: list[str] = field(default_factory=list)
    """In a stable order."""
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    """What was skipped, and why. Hidden files are not listed."""


def find_files(folder: Path) -> FolderScan:
    """All files in a folder and its subfolders.

    Links to files inside the folder are followed. Links to folders are not, because they could form cycles.
    """
    scan, root = FolderScan(), folder.resolve()
    for relative, entry in _entries(folder, "", scan):
        if entry.is_file(follow_symlinks=False) or _leads_to_a_file(root, Path(entry.path)):
            scan.files.append(relative)
        else:
            scan.passed_over.append(
                (relative, "a link that is not followed" if entry.is_symlink() else "not a regular file")
            )
    return scan


def key_of(relative: str) -> str:
    """The key of the file at a relative path. macOS file names have a different Unicode normal form from keys."""
    return unicodedata.normalize("NFC", relative)


def inside(folder: Path, relative: str) -> Path | None:
    """The file at a relative path; None if there is none, or a link leads outside the folder."""
    path = folder / relative
    return path if _leads_to_a_file(folder.resolve(), path) else None


def is_image(path: Path) -> bool:
    """Whether the file starts like an image of a supported format. Ignores its name. Raises OSError."""
    with path.open("rb") as stream:
        return sniff(stream.read(_HEAD_BYTES)) is not None


def shown(relative: str) -> str:
    """A path as valid Unicode, which file names need not be."""
    return os.fsencode(relative).decode("utf-8", "replace")


def _entries(folder: Path, above: str, scan: FolderScan) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder except hidden names and the folders themselves."""
    try:
        with os.scandir(folder) as entries:
            present = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        scan.passed_over.append((above or ".", f"cannot read folder: {error.strerror}"))
        return
    for entry in present:
        relative = f"{above}/{entry.name}" if above else entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), relative, scan)
        else:
            yield relative, entry


def _leads_to_a_file(root: Path, path: Path) -> bool:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return False  # a dangling or circular link
    return target.is_file() and target.is_relative_to(root)
