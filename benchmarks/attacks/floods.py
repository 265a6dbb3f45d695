"""The attacks that are made of whole requests: logins, odd files, and previews."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image
from testing.odd_images import scan_bomb
from testing.system import System

from benchmarks.attacks.attack import Attack
from benchmarks.attacks.flood import Flood
from benchmarks.lib.images import jpegs

_ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 6))
_ORIGINALS = 17
_WIDTHS = (64, 96, 128, 160, 240, 256, 320, 384, 400, 480, 512, 640, 750, 768, 800, 828, 960, 1024, 1080, 1200)
_FORMATS = ("jpeg", "png", "webp", "avif", "jpeg&q=75", "jpeg&q=60")
_BOMB_SIDE = 8000
_BOMBS: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True, "method": 0},
    "AVIF": {"speed": 10},
    "PNG": {"compress_level": 1},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


@contextlib.contextmanager
def flood(system: System, at_once: int, requests: Iterable[bytes]) -> Iterator[None]:
    """These requests to web, again and again, while the block runs; see `attack.crowds`."""
    with tempfile.TemporaryDirectory(prefix="flood-") as folder:
        for number, request in enumerate(requests):
            (Path(folder) / f"{number:05}").write_bytes(request)
        wanted = Flood(system.port("web"), at_once, folder, _ADDRESSES)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.attacks.flood", json.dumps(asdict(wanted))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError("the flood did not come")
            yield
        finally:
            process.kill()
            process.communicate()


def _request(method: str, path: str, body: bytes = b"", **fields: str) -> bytes:
    fields |= {"Host": "localhost", "Connection": "close", "Content_Length": str(len(body))}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body


def _logins(system: System) -> contextlib.AbstractContextManager[None]:
    names = ["admin", *(f"nobody {number}" for number in range(200))]
    forms = [urlencode({"name": name, "password": "a wrong password"}).encode() for name in names]
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    return flood(system, 64, [_request("POST", "/login", form, **kind) for form in forms])


def _uploads(system: System, user: str, at_once: int, files: list[bytes]) -> contextlib.AbstractContextManager[None]:
    """By a user of their own: the others' uploads are an administrator's."""
    token = {"Authorization": f"Bearer {system.add_user(user).token}"}
    uploads = [_request("PUT", f"/api/images/bombs/{number}", file, **token) for number, file in enumerate(files)]
    return flood(system, at_once, uploads)


def _scan_bombs(system: System) -> contextlib.AbstractContextManager[None]:
    return _uploads(system, "scans", 16, [scan_bomb(_BOMB_SIDE, _BOMB_SIDE, scans) for scans in (200, 1500)])


def _memory_bombs(system: System) -> contextlib.AbstractContextManager[None]:
    picture, files = Image.new("RGB", (_BOMB_SIDE, _BOMB_SIDE), (1, 2, 3)), []
    for kind, options in _BOMBS.items():
        encoded = io.BytesIO()
        picture.save(encoded, kind, **options)
        files.append(encoded.getvalue())
    return _uploads(system, "memory", 64, files)


def _previews(system: System) -> contextlib.AbstractContextManager[None]:
    for number, body in enumerate(jpegs(400_000, _ORIGINALS)):
        assert system.admin().put(f"attacks/original-{number}", body).status in (200, 201)
    wanted = [
        _request("GET", f"/images/attacks/original-{number}?w={width}&format={kind}")
        for width in _WIDTHS
        for kind in _FORMATS
        for number in range(_ORIGINALS)
    ]
    return flood(system, 64, wanted)


FLOODS = (
    Attack("logins", "64 wrong logins at a time, from four addresses", _logins),
    Attack("scan-bombs", "16 progressive JPEGs of 64 megapixels with many empty scans at a time", _scan_bombs),
    Attack("memory-bombs", "64 WebP, AVIF, PNG and TIFF images of 64 megapixels at a time", _memory_bombs),
    Attack("previews", "2,040 different previews for strangers, 64 at a time", _previews),
)
