"""What the user data does when it is run: a whole boot is in tests/system/test_aws.py, here is what goes wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.ec2_machine import ScriptedMachine, write_stubs
from testing.waiting import wait_for
from tests.unit.autoscaler.nodes.test_ec2_boot import boot

from elastic_images import __version__


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    return write_stubs(tmp_path / "stubs", Path(sys.executable), __version__)


@pytest.fixture
def machine(tmp_path: Path, stubs: Path) -> Iterator[ScriptedMachine]:
    """One whose `aws` finds nothing."""
    (stubs / "aws").write_text("#!/bin/bash\necho 'fatal error: 404' >&2\nexit 1\n")
    made = ScriptedMachine(tmp_path / "instance", boot(tmp_path).user_data(2), stubs, {})
    yield made
    made.cut_off()


def test_a_node_that_cannot_be_made_says_so_and_turns_its_instance_off(machine: ScriptedMachine) -> None:
    wait_for(lambda: not machine.living)
    machine.tick()
    assert machine.wants_off
    assert machine.starts == 0
    assert "fatal error: 404" in machine.console
    assert "the node could not be made" in machine.console
    told = (machine.root / "systemctl").read_text().splitlines()
    assert told.index("enable --now elastic-images-watchdog.timer") < told.index("poweroff"), "the end is set up first"


@pytest.fixture
def watchdog(tmp_path: Path) -> Path:
    """The script that the user data writes, by itself."""
    found = re.search(r"<< 'WATCHDOG'\n(.*?)^WATCHDOG$", boot(tmp_path).user_data(0), re.MULTILINE | re.DOTALL)
    assert found
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root / "etc/elastic-images").mkdir(parents=True)
    (root / "etc/elastic-images/watched").write_text("http://10.0.0.4:5001 http://10.0.0.4:5002\n")
    (root / "watchdog").write_text(found[1])
    return root


def look(root: Path, stubs: Path, *, answering: str = "nobody") -> bool:
    """One look of the watchdog; whether the instance is turned off."""
    (stubs / "curl").write_text(f'#!/bin/bash\n[[ "$*" == *"{answering}/healthz" ]]\n')
    environ = {"PATH": f"{stubs}:{os.environ['PATH']}", "EI_ROOT": str(root)}
    subprocess.run(["bash", str(root / "watchdog")], env=environ, check=True, capture_output=True)
    told = root / "systemctl"
    return told.exists() and "poweroff" in told.read_text()


def test_a_node_that_nobody_hears_of_for_an_hour_turns_its_instance_off(watchdog: Path, stubs: Path) -> None:
    assert not look(watchdog, stubs), "the hour begins with the first look"
    heard = watchdog / "run/elastic-images-heard"
    now = time.time()
    os.utime(heard, (now - 3500, now - 3500))
    assert not look(watchdog, stubs)
    os.utime(heard, (now - 3700, now - 3700))
    assert not look(watchdog, stubs, answering="http://10.0.0.4:5002"), "one of them is enough"
    assert heard.stat().st_mtime > now - 60
    os.utime(heard, (now - 3700, now - 3700))
    assert look(watchdog, stubs)
