"""The data folder, the disk and the ports of this machine."""

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
    """Settings that were misspelled."""
    names = unknown_variables(environ)
    for name in names:
        yield Finding("settings", NOTE, f"{name} is set, and no setting has this name", "docs/settings.md has them all")
    if not names:
        yield Finding("settings", OK, "every setting is one")


def is_running(data: Path) -> bool:
    """Whether a system holds the data folder."""
    try:
        with (data / "lock").open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def check_data(data: Path) -> Iterator[Finding]:
    """Whether the folder can be written, has room, and keeps its secrets."""
    place = _nearest(data)
    if not data.is_dir():
        yield Finding("data folder", NOTE, f"{data} is not there yet: the first start makes it")
    try:
        with tempfile.TemporaryFile(dir=place):
            yield Finding("data folder", OK, f"{place} can be written")
    except OSError as error:
        mend = f"give {_user()} the right to write there, or choose another folder with --data"
        yield Finding("data folder", BAD, f"{place} cannot be written: {error.strerror}", mend)
    yield _room(place, "data folder")
    for name in _SECRETS:
        file = data / name
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            yield Finding("data folder", BAD, f"others can read the secret {file}", f"chmod 600 {file}")


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Whether every port is free. For a system that does not run."""
    apps = len(ports_of(0)) - 8
    ports = ports_of(settings.port_offset)
    taken = False
    for number, port in enumerate(ports):
        host = settings.host if number < apps and port in _public(settings) else settings.internal_host
        try:
            check_free(host, [port])
        except ElasticImagesError as error:
            taken = True
            yield Finding("ports", BAD, str(error), "stop what listens there, or start with --port-offset")
    if not taken:
        yield Finding("ports", OK, f"{len(ports)} ports are free, {min(ports)} to {max(ports)}")


def _public(settings: Settings) -> tuple[int, int]:
    return settings.port("web"), settings.port("manager")


def _room(place: Path, area: str) -> Finding:
    free = shutil.disk_usage(place).free
    shown = f"{free / 1e9:.1f} GB are free at {place}"
    if free < FULL_BYTES:
        return Finding(area, BAD, shown, "make room: uploads are refused when the disk is full")
    if free < LOW_BYTES:
        return Finding(area, NOTE, shown, "make room before it is full")
    return Finding(area, OK, shown)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _user() -> str:
    return f"the user with the id {os.getuid()}"
