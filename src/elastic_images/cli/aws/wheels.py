"""Collects the wheels that a node needs: the running package, and its dependencies in the installed versions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from elastic_images.cli.aws.own_wheel import NAME, make_own_wheel
from elastic_images.core.errors import Unavailable

PYTHON = "3.11"
"""The Python of the nodes; Amazon Linux 2023 packages it."""
PROCESSORS = ("x86_64", "aarch64")
SUMS = "SHA256SUMS"
_GLIBC = range(17, 35)
"""Amazon Linux 2023 has glibc 2.34."""
_QUOTED_LINES = 3


def collect(folder: Path, processors: Sequence[str], *, wheels: Path | None, say: Callable[[str], None]) -> list[Path]:
    """Collect the wheels in `folder`, with a file of their SHA-256 checksums.

    Args:
        folder: an empty folder.
        processors: the processors to collect for.
        wheels: a folder with the dependencies' wheels; None means pip's configured index.
        say: called with progress messages.

    Raises:
        Unavailable: pip did not find a wheel; the message quotes pip.
    """
    own = make_own_wheel(folder)
    versions = folder / "versions.txt"
    versions.write_text("".join(f"{name}=={version}\n" for name, version in _running()), encoding="utf-8")
    for processor in processors:
        say(f"Collecting wheels for Python {PYTHON} on {processor} ...")
        _download(folder, f"{own}[aws]", processor, versions, wheels)
    versions.unlink()
    found = sorted(folder.glob("*.whl"))
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in found)
    (folder / SUMS).write_text(sums, encoding="ascii")
    return found


def _running() -> list[tuple[str, str]]:
    found = {one.name: one.version for one in metadata.distributions() if one.name}
    return sorted((name, version) for name, version in found.items() if name.replace("_", "-").lower() != NAME)


def _download(folder: Path, requirement: str, processor: str, versions: Path, wheels: Path | None) -> None:
    platforms = [f"manylinux2014_{processor}", *(f"manylinux_2_{minor}_{processor}" for minor in _GLIBC)]
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), "--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp"]
    command += [word for platform in platforms for word in ("--platform", platform)]
    command += ["--constraint", str(versions), "--find-links", str(folder)]
    command += ["--no-index", "--find-links", str(wheels)] if wheels is not None else []
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        _, _, conflict = done.stdout.partition("The conflict is caused by:")
        errors = [*conflict.split("\n\n")[0].splitlines(), *errors]
        words = " ".join(line.strip() for line in errors[: 2 * _QUOTED_LINES] if line.strip())
        raise Unavailable(f"pip cannot find the wheels that nodes need: {words}")
