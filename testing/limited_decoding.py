"""Decodes images within the memory that `cost_of` expects of them, each in a process of its own.

    python -m testing.limited_decoding

Prints the name of every image that needs more.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from benchmarks.imaging_memory import SPECS, cases

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.costs import cost_of
from elastic_images.imaging.header import read_header
from elastic_images.imaging.inspection import inspect
from elastic_images.imaging.rendering import render
from testing.image_samples import HEIC

SIDE = 800
_SPARE_BYTES = 4_000_000
"""What such small pictures leave of the part of a cost that does not depend on their size."""


def decode(body: bytes, spec: RenditionSpec | None) -> None:
    """Within the limit. Raises what decoders raise without enough memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    allowed = pages * resource.getpagesize() + cost_of(read_header(body), len(body), spec).memory_bytes - _SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    if spec is None:
        inspect(body)
    else:
        render(body, spec)


def fits(body: bytes, spec: RenditionSpec | None) -> bool:
    """Whether a child process can do it."""
    pid = os.fork()
    if pid == 0:
        try:
            decode(body, spec)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent must learn of it
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def main() -> None:
    files = [(path.name, path.read_bytes) for path in sorted(HEIC.iterdir())]
    for name, make in [*cases(SIDE), *files]:
        body = make()
        for what, spec in SPECS.items():
            if not fits(body, spec):
                print(f"{name}: {what}")


if __name__ == "__main__":
    main()
