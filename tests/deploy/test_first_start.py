"""The boot script of an instance, run whole, with stand-ins for what needs one: what it makes, and what it tells."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.deploy.stacks import FOLDER, ROOT
from tests.deploy.test_templates import embed

FRONT = "10.83.0.10"
PLACES = ("/etc/", "/opt/", "/usr/local/")
RECORDS = """#!/bin/bash
echo "$(basename "$0") $*" >> CALLS
! grep -qxF "$(basename "$0")" FAILS
"""
IP = """#!/bin/bash
printf '1: lo    inet 127.0.0.1/8 scope host lo\\n2: ens5    inet %s/24 brd 10.83.0.255\\n' ADDRESS
"""


@dataclass(frozen=True)
class FirstStart:
    root: Path

    def run(self, *, address: str = FRONT, fails: str = "") -> int:
        """The exit code. `fails`: which tools do."""
        (self.root / "fails").write_text(fails.replace(" ", "\n"))
        for name in ("dnf", "useradd", "systemctl", "curl", "journalctl", "cfn-signal"):
            folder = "opt/aws/bin" if name == "cfn-signal" else "bin"
            self._tool(f"{folder}/{name}", RECORDS)
        self._tool("bin/ip", IP.replace("ADDRESS", address))
        script = embed().boot_script()
        for place in PLACES:
            script = script.replace(f" {place}", f" {self.root}{place}")
        environ = {"PATH": f"{self.root}/bin:/usr/bin:/bin"}
        done = subprocess.run(["bash"], input=script, env=environ, text=True, capture_output=True, check=False)
        return done.returncode

    def calls(self, tool: str) -> list[str]:
        lines = (self.root / "calls").read_text().splitlines()
        return [line.removeprefix(f"{tool} ") for line in lines if line.startswith(f"{tool} ")]

    def _tool(self, name: str, script: str) -> None:
        tool = self.root / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(script.replace("CALLS", f"{self.root}/calls").replace("FAILS", f"{self.root}/fails"))
        tool.chmod(0o755)


@pytest.fixture
def first_start(tmp_path: Path) -> FirstStart:
    stack = tmp_path / "etc/elastic-images/stack"
    stack.parent.mkdir(parents=True)
    stack.write_text(f"STACK_NAME=x\nSTACK_REGION=eu-central-1\nSTACK_SETTINGS=/s\nSTACK_FRONT={FRONT}\n")
    return FirstStart(tmp_path)


def test_the_front_is_made_started_and_told_of(first_start: FirstStart) -> None:
    assert first_start.run() == 0
    root = first_start.root
    for written, file in {
        "usr/local/sbin/elastic-images-refresh": FOLDER / "refresh",
        "usr/local/bin/elastic-images": FOLDER / "command",
        "etc/systemd/system/elastic-images.service": ROOT / "deploy/systemd/elastic-images.service",
        "etc/systemd/system/elastic-images@.service": ROOT / "deploy/systemd/elastic-images@.service",
        "etc/systemd/system/elastic-images.service.d/aws.conf": FOLDER / "aws.conf",
        "etc/systemd/system/elastic-images@.service.d/aws.conf": FOLDER / "aws.conf",
    }.items():
        # What the script writes has had its paths moved with the script's own.
        moved = file.read_text()
        for place in PLACES:
            moved = moved.replace(f" {place}", f" {root}{place}")
        assert (root / written).read_text() == moved
        runnable = (root / written).stat().st_mode & 0o111
        assert bool(runnable) == written.startswith("usr/local")
    assert "enable --now --no-block elastic-images" in first_start.calls("systemctl")
    assert first_start.calls("systemctl")[0] == "daemon-reload"
    assert any("/readyz" in call for call in first_start.calls("curl"))
    signal = "--exit-code 0 --region eu-central-1 --stack x --resource FrontInstance"
    assert first_start.calls("cfn-signal") == [signal]


def test_another_host_is_a_web_host(first_start: FirstStart) -> None:
    # 10.83.0.100 begins as the front's address does.
    assert first_start.run(address="10.83.0.100") == 0
    assert "enable --now --no-block elastic-images@storage elastic-images@web" in first_start.calls("systemctl")
    (signal,) = first_start.calls("cfn-signal")
    assert signal.endswith("--exit-code 0 --region eu-central-1 --stack x --resource WebHostGroup")


@pytest.mark.parametrize("tool", ["dnf", "useradd", "systemctl", "dnf journalctl"])
def test_a_boot_that_fails_fails_the_stack_and_says_why(first_start: FirstStart, tool: str) -> None:
    assert first_start.run(fails=tool) == 1
    (signal,) = first_start.calls("cfn-signal")
    assert signal.startswith("--exit-code 1 ")
    assert first_start.calls("journalctl")  # into the console's log
