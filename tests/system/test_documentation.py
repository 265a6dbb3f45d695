"""The examples of the README and of docs/api.md, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from testing.photographs import Photograph
from testing.system import COMMAND, System, environment

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, system: System, few: tuple[Photograph, ...]) -> Path:
    """Where a reader tries the examples: a photograph of his, and `data`."""
    (tmp_path / "photo.jpg").write_bytes(few[0].body)
    (tmp_path / "data").symlink_to(system.data)
    return tmp_path


def run(system: System, folder: Path, script: str) -> str:
    """Run lines of shell beside a running system, failing at the first that fails; what they print."""
    assert shutil.which("curl") is not None
    environ = environment({"data": system.data, "port_offset": system.offset})
    environ["PATH"] = f"{COMMAND.parent}:{environ['PATH']}"
    for app, port in (("web", 5000), ("manager", 5003)):
        script = script.replace(f"http://127.0.0.1:{port}", system.url(app))
    checked = 'set -eu; curl() { command curl -sS --fail-with-body "$@"; }\n' + script
    done = subprocess.run(
        ["bash", "-c", checked], cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs the package curl")


@needs_curl
def test_the_first_steps_of_the_readme(system: System, folder: Path) -> None:
    steps = [block for block in blocks("README.md", "sh") if "elastic-images" in block]
    assert len(steps) == 2
    photograph = (folder / "photo.jpg").read_bytes()
    for step in steps:
        script = step.replace("source .venv/bin/activate\n", "")
        run(system, folder, script)
        assert (folder / "copy.jpg").read_bytes() == photograph
        (folder / "copy.jpg").unlink()
    assert system.wait_settled()["mode"] == "auto"


@pytest.mark.parametrize("page", ["README.md", "docs/python-client.md"])
def test_the_examples_in_python(system: System, folder: Path, page: str) -> None:
    script = "\n".join(blocks(page, "python"))
    assert '"http://127.0.0.1:5000", token="..."' in script
    known = script.replace('"http://127.0.0.1:5000", token="..."', f'"{system.url()}", token="{system.admin().token}"')
    subprocess.run([sys.executable, "-c", known], cwd=folder, timeout=60, check=True)


@needs_curl
def test_the_examples_of_the_api(system: System, folder: Path) -> None:
    setting, *examples = blocks("docs/api.md", "sh")
    assert "TOKEN=" in setting
    given = f"export URL={system.url()} TOKEN={system.admin().token}\n"
    assert system.admin().put("k1", (folder / "photo.jpg").read_bytes()).status in (200, 201)
    # The first example fetches what the second one uploads, and a later one renames an image.
    for key in ("holidays/photo.jpg", "holidays/beach.jpg"):
        assert system.admin().put(key, (folder / "photo.jpg").read_bytes()).status in (200, 201)
    for example in examples:
        printed = run(system, folder, given + example)
        assert '"success":"false"' not in printed.replace(" ", ""), (example, printed)
