"""`python -m elastic_images.imaging`: the broker as a child of ours (`command`).

It loads neither the command line nor the settings, which would double what an idle broker takes.
"""

from __future__ import annotations

import sys

from elastic_images.imaging import service
from elastic_images.imaging.limits import Limits
from elastic_images.process import logs
from elastic_images.process.listening import inherited


def main(memory_bytes: str, limits: str, lifeline_fd: str, *options: str) -> None:
    """Run the broker. `options` are pairs of a name and a descriptor, as the supervisor adds them."""
    descriptors = dict(zip(options[::2], map(int, options[1::2]), strict=True))
    logs.setup("imaging")
    service.run(
        inherited(descriptors["--listen-fd"]),
        memory_bytes=int(memory_bytes),
        limits=Limits(*map(int, limits.split(","))),
        ready_fd=descriptors.get("--ready-fd"),
        health_fd=descriptors.get("--health-fd"),
        lifeline_fd=int(lifeline_fd) if lifeline_fd else None,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
