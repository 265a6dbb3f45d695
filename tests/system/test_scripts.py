"""`run_main.sh` and `run_tests.sh`: what they install, repair, say and hand on. Python and pip are stand-ins here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from elastic_images.autoscaler.nodes.ec2.boot import boot_for
from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting
from elastic_images.metrics.cloudwatch.location import location_of
from elastic_images.settings import SETTINGS, Settings

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["run_main.sh", "run_tests.sh", "scripts/environment.sh", ".ci/run"]

# Notes what it is asked for. `-m venv` makes a .venv whose python is this script again, and `pip install` makes the
# checks so. Files in the notes' folder say what else it does: `old` (too old), `no-venv`, `pip-fails`,
# `pip-interrupted`, `mypy-fails`.
STAND_IN = """#!/bin/bash
notes="$NOTES"
case "$*" in
  "-c import sys; sys.exit(sys.version_info < (3, 11))") [ ! -e "$notes/old" ]; exit ;;
  "-c import ensurepip, venv") [ ! -e "$notes/no-venv" ]; exit ;;
  "-c import sys; print"*) echo 3.12; exit ;;
  "-c ") exit 0 ;;
esac
echo "$(basename "$0") $*" >>"$notes/calls"
[ ! -e "$notes/$(basename "$0")-fails" ] || exit 1
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip install"*)
    if [ -e "$notes/pip-interrupted" ]; then kill -KILL $PPID; exit 1; fi
    for name in ruff mypy lint-imports codespell; do cp "$0" "$(dirname "$0")/$name"; done
    [ ! -e "$notes/pip-fails" ]; exit ;;
  "-m pytest"*) echo "pytest ran"; exit ;;
  "-m elastic_images up"*) echo "up:$ELASTIC_IMAGES_NODES"; exec sleep "${UP_SECONDS:-0}" ;;
esac
"""


@dataclass
class Checkout:
    """A copy of the scripts, with a stand-in for Python on the PATH."""

    root: Path
    notes: Path

    def run(self, script: str = "run_main.sh", *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.root / script), *words],
            env={"PATH": f"{self.root.parent / 'bin'}:/usr/bin:/bin", "NOTES": str(self.notes), **environ},
            cwd=self.root.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        """What Python was asked for since the last look."""
        file = self.notes / "calls"
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [call for call in found if "elastic_images up" not in call]

    def set(self, name: str, *, on: bool = True) -> None:
        if on:
            (self.notes / name).touch()
        else:
            (self.notes / name).unlink()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, notes, programs = tmp_path / "a check out", tmp_path / "notes", tmp_path / "bin"
    for folder in (root / "scripts", notes, programs):
        folder.mkdir(parents=True)
    for name in ("run_main.sh", "scripts/environment.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    for name in ("python3", "python", *(f"python3.{minor}" for minor in range(11, 15))):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    return Checkout(root, notes)


def test_the_first_run_installs_and_later_ones_start_at_once(checkout: Checkout) -> None:
    first = checkout.run()
    assert first.returncode == 0, first.stderr
    assert first.stdout == "up:\n"
    assert "Installing into" in first.stderr
    venv, pip = checkout.calls()
    assert venv == f"python3 -m venv {checkout.root / '.venv'}"
    assert pip.startswith("python -m pip install")
    assert pip.endswith(f"--editable {checkout.root}")
    second = checkout.run()
    assert (second.stdout, second.stderr, checkout.calls()) == ("up:\n", "", [])


def test_arguments_and_settings_are_handed_on(checkout: Checkout) -> None:
    done = checkout.run("run_main.sh", "--data", "a folder", ELASTIC_IMAGES_NODES="3")
    assert done.stdout == "up:3\n"
    assert "python -m elastic_images up --data a folder" in (checkout.notes / "calls").read_text()


@pytest.mark.parametrize("script", ["run_main.sh", "run_tests.sh"])
def test_through_a_link_from_another_folder(checkout: Checkout, script: str) -> None:
    if script == "run_tests.sh":
        shutil.copy(ROOT / script, checkout.root / script)
    elsewhere = checkout.root.parent / "else where"
    elsewhere.mkdir()
    (checkout.root / "relative link").symlink_to(script)
    (elsewhere / "start").symlink_to(checkout.root / "relative link")
    done = checkout.run(str(elsewhere / "start"))
    assert "environment.sh" not in done.stderr, done.stderr
    assert (checkout.root / ".venv" / "bin" / "python").exists()


CHECKS = ["ruff check", "ruff format --check --quiet", "mypy ", "lint-imports --no-logo", "codespell "]
EVERYTHING = "python -m pytest -n 2 --dist loadfile"


@pytest.fixture
def tests(checkout: Checkout) -> Checkout:
    """A checkout with run_tests.sh and some files of tests, in which everything is installed."""
    shutil.copy(ROOT / "run_tests.sh", checkout.root / "run_tests.sh")
    for folder, files in (("tests/unit/core", 2), ("tests/system", 40)):
        (checkout.root / folder).mkdir(parents=True)
        for number in range(files):
            (checkout.root / folder / f"test_{number}.py").touch()
    assert checkout.run("run_tests.sh", "--checks").returncode == 0
    checkout.calls()
    return checkout


def test_without_arguments_everything_is_checked_and_tested(tests: Checkout) -> None:
    done = tests.run("run_tests.sh")
    assert done.returncode == 0, done.stderr
    assert tests.calls() == [*CHECKS, EVERYTHING]
    assert done.stdout.splitlines()[-1] == "pytest ran"


def test_the_checks_alone(tests: Checkout) -> None:
    done = tests.run("run_tests.sh", "--checks")
    assert done.returncode == 0, done.stderr
    assert tests.calls() == CHECKS


@pytest.mark.parametrize("words", [["--checks"], []])
def test_a_failed_check_is_named_and_fails_the_run(tests: Checkout, words: list[str]) -> None:
    tests.set("mypy-fails")
    done = tests.run("run_tests.sh", *words)
    assert done.returncode == 1
    assert "mypy" in next(line for line in done.stdout.splitlines() if line.startswith("Failed"))
    assert tests.calls() == CHECKS + ([] if words else [EVERYTHING])


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["tests/unit/core"], "--hypothesis-profile quick tests/unit/core"),
        (
            ["tests/unit/core/test_1.py::test_one", "-x"],
            "--hypothesis-profile quick tests/unit/core/test_1.py::test_one -x",
        ),
        (["tests/system"], "-n 2 --dist loadfile tests/system"),
        (["-k", "keys"], "-n 2 --dist loadfile -k keys"),
    ],
)
def test_a_few_files_are_tested_at_once_in_one_process(tests: Checkout, words: list[str], called: str) -> None:
    done = tests.run("run_tests.sh", *words)
    assert done.returncode == 0, done.stderr
    assert tests.calls() == [f"python -m pytest {called}"]


def test_services_are_installed_in_named_phases_before_everything(tests: Checkout) -> None:
    apt = tests.root.parent / "bin" / "apt-get"
    apt.write_text('#!/bin/bash\necho "apt-get $*" >>"$NOTES/calls"\n')
    sudo = tests.root.parent / "bin" / "sudo"
    sudo.write_text('#!/bin/bash\nexec "$@"\n')
    for program in (apt, sudo):
        program.chmod(0o755)
    done = tests.run("run_tests.sh", "--install-services")
    assert done.returncode == 0, done.stderr
    update, download, install, *rest = tests.calls()
    assert update == "apt-get update -qq"
    assert "--download-only" in download
    assert "mariadb-server postgresql" in install
    assert "--download-only" not in install
    assert rest == [*CHECKS, EVERYTHING]
    assert re.findall(r"\d of 3", done.stderr) == ["1 of 3", "2 of 3", "3 of 3"]


def test_a_setting_at_its_top_counts_unless_the_environment_has_it(checkout: Checkout) -> None:
    script = checkout.root / "run_main.sh"
    line = 'export ELASTIC_IMAGES_NODES="${ELASTIC_IMAGES_NODES:-1}"'
    assert f"# {line}\n" in script.read_text()
    script.write_text(script.read_text().replace(f"# {line}", line.replace(":-1", ":-5")))
    assert checkout.run().stdout == "up:5\n"
    assert checkout.run(ELASTIC_IMAGES_NODES="2").stdout == "up:2\n"


def test_what_aws_needs_is_installed_where_a_setting_asks_for_it(checkout: Checkout) -> None:
    checkout.run()
    checkout.calls()
    assert checkout.run(ELASTIC_IMAGES_OBJECT_STORE="s3://bucket/prefix").returncode == 0
    assert [call for call in checkout.calls() if call.endswith(f"--editable {checkout.root}[aws]")]
    assert checkout.run("run_main.sh", "--object-store", "s3://bucket/prefix").returncode == 0
    assert checkout.run().returncode == 0
    assert checkout.calls() == []


def test_an_interrupted_installation_is_made_anew(checkout: Checkout) -> None:
    checkout.set("pip-interrupted")
    assert checkout.run().returncode != 0
    (checkout.root / ".venv" / "half-made").touch()
    checkout.set("pip-interrupted", on=False)
    checkout.calls()
    assert checkout.run().returncode == 0
    assert len(checkout.calls()) == 2
    assert not (checkout.root / ".venv" / "half-made").exists()


def test_a_failed_installation_says_so_and_is_repeated(checkout: Checkout) -> None:
    checkout.set("pip-fails")
    failed = checkout.run()
    assert failed.returncode == 1
    assert "Run this again to retry" in failed.stderr
    assert failed.stdout == ""
    checkout.set("pip-fails", on=False)
    assert checkout.run().returncode == 0


def test_changed_dependencies_are_installed(checkout: Checkout) -> None:
    checkout.run()
    checkout.calls()
    with (checkout.root / "pyproject.toml").open("a") as stream:
        stream.write("# another dependency\n")
    assert checkout.run().returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["pip"]
    checkout.run()
    assert checkout.calls() == []


def test_a_folder_that_was_moved_is_installed_anew(checkout: Checkout) -> None:
    checkout.run()
    checkout.calls()
    moved = Checkout(checkout.root.rename(checkout.root.with_name("moved")), checkout.notes)
    assert moved.run().returncode == 0
    assert [call.split()[2] for call in moved.calls()] == ["venv", "pip"]


def test_a_virtual_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.run()
    checkout.calls()
    (checkout.root / ".venv" / "bin" / "python").unlink()
    assert checkout.run().returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["venv", "pip"]


def test_without_a_new_python_one_command_is_named(checkout: Checkout) -> None:
    checkout.set("old")
    done = checkout.run()
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("    ")]) == 1
    assert checkout.calls() == []
    assert not (checkout.root / ".venv").exists()


def test_without_venv_one_command_is_named(checkout: Checkout) -> None:
    checkout.set("no-venv")
    (checkout.root.parent / "bin" / "apt-get").write_text("#!/bin/sh\n")
    (checkout.root.parent / "bin" / "apt-get").chmod(0o755)
    done = checkout.run()
    assert done.returncode == 1
    assert "    sudo apt-get install python3.12-venv" in done.stderr
    assert not (checkout.root / ".venv").exists()


def test_the_second_python_is_taken_where_the_first_is_old(checkout: Checkout) -> None:
    (checkout.root.parent / "bin" / "python3").write_text("#!/bin/sh\nexit 1\n")
    assert checkout.run().returncode == 0
    assert checkout.calls()[0].startswith("python3.14 -m venv")


def test_the_script_becomes_the_system(checkout: Checkout) -> None:
    """A signal to the script's process is a signal to the supervisor: there is no shell between."""
    checkout.run()
    process = subprocess.Popen(
        ["bash", str(checkout.root / "run_main.sh")],
        env={"PATH": "/usr/bin:/bin", "NOTES": str(checkout.notes), "UP_SECONDS": "60"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up:\n"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -15


def test_every_setting_at_the_top_is_one_and_says_its_name_twice() -> None:
    lines = re.findall(r"^# export (\w+)=(.*)$", (ROOT / "run_main.sh").read_text(), re.MULTILINE)
    assert len(lines) >= 10
    known = {setting.environment for setting in SETTINGS}
    known |= {f"{setting.environment}_FILE" for setting in SETTINGS if setting.from_file}
    for name, value in lines:
        assert name in known or name.startswith("AWS_"), name
        assert re.fullmatch(rf'"\$\{{{name}:-[^"]*\}}"', value), value
    named = {name for name, _ in lines}
    assert {f"ELASTIC_IMAGES_{name}" for name in ("OBJECT_STORE", "DATABASE", "METRICS", "NODE_PROVIDER")} <= named


def test_the_settings_at_the_top_are_all_that_aws_needs_and_ones_that_are_understood(tmp_path: Path) -> None:
    """With the # taken away, they make settings whose every part is read as the parts of the system read it."""
    text = re.sub(r"^# (export )", r"\1", (ROOT / "run_main.sh").read_text(), flags=re.MULTILINE).partition("set -u")[0]
    text = re.sub(r"^export ELASTIC_IMAGES_(DATABASE|INTERNAL_TOKEN)_FILE=.*$", "", text, flags=re.MULTILINE)
    script = f"{text}\nexport ELASTIC_IMAGES_DATA={tmp_path}\nenv -0"
    done = subprocess.run(["bash", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)
    settings = Settings.load(environ=dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line))
    assert settings.object_store.startswith("s3://")
    assert "rds.amazonaws.com" in settings.database
    place = location_of(settings.metrics, settings.pool)
    provider = parse_ec2_setting(settings.node_provider, settings.pool)
    assert (place.pool, provider.pool) == ("images", "images")
    assert boot_for(provider, settings, "us-east-1").watched == ("http://10.0.0.10:5001", "http://10.0.0.10:5002")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_bash_without_newer_features(name: str) -> None:
    text = (ROOT / name).read_text()
    assert subprocess.run(["bash", "-n", str(ROOT / name)], check=False).returncode == 0
    for newer in ("declare -A", "mapfile", "readarray", "${!", ",,}", "^^}", "&>>", "|&", "local -n"):
        assert newer not in text, f"{name} uses {newer}, which bash 3.2 lacks"
    if not name.startswith("scripts/"):
        assert os.access(ROOT / name, os.X_OK)


def test_this_python_would_be_found() -> None:
    script = f'. "{ROOT}/scripts/environment.sh"; find_python'
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name.startswith("python")
