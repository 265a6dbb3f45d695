"""The running package as a wheel: from what is installed or checked out, without building and without a network."""

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
_KEPT = ("entry_points.txt", "top_level.txt")
_DAY_ONE = (1980, 1, 1, 0, 0, 0)


def make_own_wheel(folder: Path) -> Path:
    """Write the wheel; the same files make the same bytes.

    Raises:
        Unavailable: the package runs without having been installed, or what is noted of it is old.
    """
    wheel = folder / f"elastic_images-{__version__}-py3-none-any.whl"
    record = f"elastic_images-{__version__}.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in (*_code(), *_about()):
            _put(archive, name, body)
            digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(body)}\n")
        _put(archive, record, "".join([*lines, f"{record},,\n"]).encode())
    return wheel


def _put(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DAY_ONE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, body)


def _code() -> Iterator[tuple[str, bytes]]:
    root = Path(str(resources.files("elastic_images")))
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"elastic_images/{path.relative_to(root).as_posix()}", path.read_bytes()


def _about() -> Iterator[tuple[str, bytes]]:
    found = _distribution()
    place = f"elastic_images-{__version__}.dist-info"
    yield f"{place}/METADATA", _metadata(found).encode()
    for name in _KEPT:
        text = found.read_text(name)
        if text is not None:
            yield f"{place}/{name}", text.encode()
    yield f"{place}/WHEEL", _WHEEL.encode()


def _distribution() -> metadata.Distribution:
    """What pip noted of the package: a checkout may have several notes, some of them old."""
    for one in metadata.distributions(name=NAME):
        text = _metadata(one)
        if one.version == __version__ and "Provides-Extra: aws" in text:
            return one
    raise Unavailable(
        f"Version {__version__} is not installed as it is: pip install -e '.[aws]' in its checkout notes what it needs."
    )


def _metadata(distribution: metadata.Distribution) -> str:
    return distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
