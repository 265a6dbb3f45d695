"""Checks this machine: environment variables, data folder, disk and ports."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from elastic_images.core.errors import ElasticImagesError
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.process.ports import check_free, ports_of
from elastic_images.settings import Settings
from elastic_images.settings.sources import unknown_variables

LOW_BYTES = 1_000_000_000
FULL_BYTES = 100_000_000
_SECRETS = ("internal-token", "secret-key", "cli-token", "admin-password")


def check_variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Report misspelled settings."""
    names = unknown_variables(environ)
    for name in names:
        yield Finding("settings", NOTE, f"{name} is not a setting", "docs/settings.md lists all settings")
    if not names:
        yield Finding("settings", OK, "no unknown settings")


def is_running(data: Path) -> bool:
    """Whether a system is running on the data folder."""
    try:
        with (data / "lock").open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def check_data(data: Path) -> Iterator[Finding]:
    """Check that the folder is writable, has space, and hides its secrets."""
    folder = _nearest(data)
    if not data.is_dir():
        yield Finding("data folder", NOTE, f"{data} does not exist yet: the first start creates it")
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Finding("data folder", OK, f"{folder} is writable")
    except OSError as error:
        mend = f"give user id {os.getuid()} write permission, or choose another folder with --data"
        yield Finding("data folder", BAD, f"{folder} is not writable: {error.strerror}", mend)
    yield _space(folder, "data folder")
    for name in _SECRETS:
        file = data / name
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            yield Finding("data folder", BAD, f"other users can read the secret {file}", f"chmod 600 {file}")


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Check that every port is free, for a system that is not running."""
    apps = len(ports_of(0)) - 8
    ports = ports_of(settings.port_offset)
    taken = False
    for number, port in enumerate(ports):
        host = settings.host if number < apps and port in _public(settings) else settings.internal_host
        try:
            check_free(host, [port])
        except ElasticImagesError as error:
            taken = True
            yield Finding("ports", BAD, str(error), "stop the program that uses it, or use --port-offset")
    if not taken:
        yield Finding("ports", OK, f"{len(ports)} ports are free, {min(ports)} to {max(ports)}")


def _public(settings: Settings) -> tuple[int, int]:
    return settings.port("web"), settings.port("manager")


def _space(folder: Path, area: str) -> Finding:
    free = shutil.disk_usage(folder).free
    shown = f"{free / 1e9:.1f} GB are free at {folder}"
    if free < FULL_BYTES:
        return Finding(area, BAD, shown, "free some space: uploads fail when the disk is full")
    if free < LOW_BYTES:
        return Finding(area, NOTE, shown, "free some space before the disk is full")
    return Finding(area, OK, shown)


def _nearest(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(candidate for candidate in (folder, *folder.parents) if candidate.is_dir())
