"""The client needs urllib3 and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import urllib3

import elastic_images

PROGRAM = """
import sys

sys.path[:0] = sys.argv[1:]
import elastic_images.client

print(*{name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names))
"""


def test_it_can_be_used_where_only_urllib3_is_installed(tmp_path: Path) -> None:
    (tmp_path / "urllib3").symlink_to(Path(urllib3.__file__).parent)
    source = Path(elastic_images.__file__).parents[1]
    # -S: without the packages that are installed here.
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(source), str(tmp_path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) - {"__main__"} == {"elastic_images", "urllib3"}


def test_it_loads_no_room_but_core(tmp_path: Path) -> None:
    code = (
        "import sys, elastic_images.client; print(*sorted(name for name in sys.modules if 'elastic_images.' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {name.split(".")[1] for name in done.stdout.split()} == {"client", "core"}
