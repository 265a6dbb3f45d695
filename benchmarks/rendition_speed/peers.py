"""Other servers that make renditions, installed on demand, and a bare loop over Pillow."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path

import psutil
from PIL import Image

from benchmarks.lib import processes

SIDE = 512
QUALITIES = {"jpeg": 82, "webp": 80, "avif": 60}
"""Those of this system, for all of them."""
_INSTALL_SECONDS = 600
_THUMBOR_CONFIG = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = "{root}"
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = "thumbor.result_storages.no_storage"
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Something that answers renditions on a port of 127.0.0.1."""

    name: str
    port: int
    path: Callable[[str, str], str]
    """By the file's name and the format."""
    processes: Callable[[], Sequence[psutil.Process]]
    formats: tuple[str, ...] = tuple(QUALITIES)


@contextlib.contextmanager
def thumbor(folder: Path, root: Path) -> Iterator[Server]:
    """Thumbor 7 with two processes over the files in `root`, which keeps nothing."""
    program = folder / "thumbor" / "bin" / "thumbor"
    if not program.exists():
        _run([sys.executable, "-m", "venv", str(folder / "thumbor")])
        _run([str(program.with_name("python")), "-m", "pip", "install", "-q", "thumbor>=7", "pillow-avif-plugin"])
    config = folder / "thumbor.conf"
    config.write_text(_THUMBOR_CONFIG.format(root=root))

    def path(name: str, kind: str) -> str:
        return f"/unsafe/fit-in/{SIDE}x{SIDE}/filters:format({kind}):quality({QUALITIES[kind]})/{name}"

    port = _free_port()
    command = [str(program), "-i", "127.0.0.1", "-p", str(port), "-c", str(config), "--processes", "2"]
    with _served(command, folder / "thumbor.log", port) as process:
        yield Server("thumbor", port, path, partial(processes.with_children, process))


@contextlib.contextmanager
def ipx(folder: Path, root: Path) -> Iterator[Server]:
    """The server of ipx, with sharp, over the files in `root`. It keeps nothing."""
    home = folder / "ipx"
    program = home / "node_modules" / "ipx" / "bin" / "ipx.mjs"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        _run([_found("npm"), "install", "--prefix", str(home), "--no-audit", "--no-fund", "ipx@3"])

    def path(name: str, kind: str) -> str:
        return f"/f_{kind},q_{QUALITIES[kind]},w_{SIDE},h_{SIDE},fit_inside/{name}"

    port = _free_port()
    environ = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1", "IPX_FS_DIR": str(root)}
    command = [_found("node"), str(program), "serve", "--no-clipboard", "--no-open"]
    with _served(command, folder / "ipx.log", port, environ) as process:
        # Its AVIF takes half a second of processor for each, which would be most of the run.
        yield Server("ipx", port, path, partial(processes.with_children, process), ("jpeg", "webp"))


class PillowLoop:
    """Two processes that do nothing but make renditions of files, with Pillow's defaults for each format."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(2, get_context("spawn"))
        list(self._pool.map(time.sleep, [0.5, 0.5]))  # both have started

    def run(self, files: Sequence[Path], kind: str) -> float:
        """How many seconds they took."""
        began = time.monotonic()
        for _ in self._pool.map(partial(_rendition, kind=kind), files):
            pass
        return time.monotonic() - began

    def processes(self) -> list[psutil.Process]:
        """Both of them."""
        return [psutil.Process(child.pid) for child in active_children() if child.pid]

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()


def _rendition(file: Path, kind: str) -> int:
    with Image.open(file) as image:
        image.draft("RGB", (SIDE, SIDE))  # JPEGs are decoded at 1/2, 1/4 or 1/8 where that is enough
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        made = io.BytesIO()
        image.save(made, kind, quality=QUALITIES[kind])
    return made.tell()


@contextlib.contextmanager
def _served(
    command: Sequence[str], log: Path, port: int, environ: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    with processes.child(command, log, lambda: processes.answers(port), environ=environ) as process:
        try:
            yield process
        finally:
            for one in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.terminate()


def _free_port() -> int:
    # They do not share ports, so that none can be reserved for them.
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"{program} is missing: apt-get install nodejs npm")
    return found


def _run(command: Sequence[str]) -> None:
    print(f"installing: {' '.join(command)}", file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_INSTALL_SECONDS)
