"""The rules that hold for every test are themselves kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import MISSING_RIGHTS, SERVICES_VARIABLE

ROOT = Path(__file__).resolve().parents[3]
SKIPS = "import pytest\n\n\ndef test_it():\n    pytest.skip('nginx is not installed')\n"
LEAVES_A_THREAD = (
    "import threading\n\n\ndef test_it():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
)
LEAVES_A_PROCESS = (
    "import subprocess\n\nKEPT = []\n\n\ndef test_it():\n    KEPT.append(subprocess.Popen(['sleep', '30']))\n"
)
READS_SETTINGS = "import os\n\n\ndef test_it():\n    assert 'ELASTIC_IMAGES_NODES' not in os.environ\n"
WAITS = "import threading\n\n\ndef test_it():\n    threading.Timer(0.2, lambda: None).start()\n"


def run(folder: Path, program: str, *words: str, **environ: str) -> tuple[int, str]:
    """Exit code and output of pytest on one file, under the rules of tests/conftest.py."""
    file = folder / "test_it.py"
    file.write_text(program)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "--rootdir", str(folder), str(file), *words),
        ],
        cwd=ROOT,
        env={**_without_services(), "PYTHONPATH": str(ROOT), "TEST_LEAVE_SECONDS": "0.5", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def _without_services() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != SERVICES_VARIABLE}


@pytest.mark.parametrize("words", [[], ["-n", "1"]])
def test_a_skip_is_a_failure_only_where_everything_is_installed(tmp_path: Path, words: list[str]) -> None:
    code, shown = run(tmp_path, SKIPS, *words)
    assert code == 0
    code, shown = run(tmp_path, SKIPS, *words, ELASTIC_IMAGES_TEST_SERVICES="1")
    assert code == 1
    assert "nginx is not installed" in shown
    assert "1 skipped" in shown.splitlines()[-1], "pytest's line is the last"


def test_a_skip_for_what_the_machine_does_not_allow_is_told_and_no_failure(tmp_path: Path) -> None:
    skips = SKIPS.replace("nginx is not installed", f"{MISSING_RIGHTS}network namespaces need root")
    code, shown = run(tmp_path, skips, ELASTIC_IMAGES_TEST_SERVICES="1")
    assert code == 0
    assert "network namespaces need root" in shown


def test_what_a_test_leaves_behind_fails_it(tmp_path: Path) -> None:
    for program, what in ((LEAVES_A_THREAD, "thread"), (LEAVES_A_PROCESS, "process")):
        code, shown = run(tmp_path, program)
        assert code == 1
        assert f"left behind: ['{what}" in shown


def test_what_ends_soon_is_waited_for(tmp_path: Path) -> None:
    assert run(tmp_path, WAITS, TEST_LEAVE_SECONDS="30")[0] == 0


def test_settings_of_the_environment_do_not_reach_a_test(tmp_path: Path) -> None:
    assert run(tmp_path, READS_SETTINGS, ELASTIC_IMAGES_NODES="8")[0] == 0
