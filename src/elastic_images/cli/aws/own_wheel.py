"""Packs the running package into a wheel, without a build tool and without network access."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path

from elastic_images import __version__
from elastic_images.core.errors import Unavailable

NAME = "elastic-images"
_WHEEL = "Wheel-Version: 1.0\nGenerator: elastic-images aws push\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_COPIED = ("entry_points.txt", "top_level.txt")
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def make_own_wheel(folder: Path) -> Path:
    """Write the wheel. The same files give the same bytes.

    Raises:
        Unavailable: the package is not installed, or its metadata is out of date.
    """
    wheel = folder / f"elastic_images-{__version__}-py3-none-any.whl"
    record = f"elastic_images-{__version__}.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in (*_package_files(), *_metadata_files()):
            _put(archive, name, body)
            digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(body)}\n")
        _put(archive, record, "".join([*lines, f"{record},,\n"]).encode())
    return wheel


def _put(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIMESTAMP)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, body)


def _package_files() -> Iterator[tuple[str, bytes]]:
    root = Path(str(resources.files("elastic_images")))
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"elastic_images/{path.relative_to(root).as_posix()}", path.read_bytes()


def _metadata_files() -> Iterator[tuple[str, bytes]]:
    found = _distribution()
    folder = f"elastic_images-{__version__}.dist-info"
    yield f"{folder}/METADATA", _metadata(found).encode()
    for name in _COPIED:
        text = found.read_text(name)
        if text is not None:
            yield f"{folder}/{name}", text.encode()
    yield f"{folder}/WHEEL", _WHEEL.encode()


def _distribution() -> metadata.Distribution:
    """The package's current metadata. A checkout may have several, some of them out of date."""
    for one in metadata.distributions(name=NAME):
        text = _metadata(one)
        if one.version == __version__ and "Provides-Extra: aws" in text:
            return one
    raise Unavailable(
        f"The metadata of version {__version__} is missing or out of date: run pip install -e '.[aws]' in its checkout."
    )


def _metadata(distribution: metadata.Distribution) -> str:
    return distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
