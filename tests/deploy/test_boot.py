"""The files that an instance boots with: units that systemd takes, and the script before each start, really run.

AWS's command line, the instance's metadata service and pip are stand-ins; the script, its files and what the settings
make of them are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.deploy.instance import FRONT, OTHER, VALUES, Instance, make_front
from tests.deploy.stacks import FOLDER, ROOT

from elastic_images.settings import Settings

UNITS = ("elastic-images.service", "elastic-images@.service", "elastic-images-imaging.service")


@pytest.fixture
def front(tmp_path: Path) -> Instance:
    return make_front(tmp_path)


def test_the_front_starts_with_settings_that_the_system_understands(front: Instance) -> None:
    done = front.refresh()
    assert (done.returncode, done.stderr) == (0, "")
    settings = Settings.load(environ=front.environment())
    assert settings.internal_token == "content-of-arn:token"
    assert settings.secret_key == "content-of-arn:key"
    assert settings.admin_password == "content-of-arn:admin"
    assert settings.database.startswith("mysql")
    assert "elastic:content-of-arn:database@db.example.org" in settings.database
    assert settings.node_provider == VALUES["ELASTIC_IMAGES_NODE_PROVIDER"]
    assert (settings.host, settings.internal_host, settings.advertise) == ("0.0.0.0", FRONT, FRONT)
    # What nodes are told: an address that they reach.
    assert settings.storage_urls == (f"http://{FRONT}:5001",)
    assert settings.autoscaler_url == f"http://{FRONT}:5002"
    assert settings.allowed_hosts == ("images.example.org", "balancer.example.org")


def test_secrets_are_for_their_owner_alone_and_in_no_environment(front: Instance) -> None:
    assert front.refresh().returncode == 0
    for file in (front.root / "run/elastic-images").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert not [value for value in front.environment().values() if "content-of-" in value]
    assert not [line for line in front.calls("") if "content-of-" in line]


def test_a_web_host_asks_the_fronts_autoscaler_and_gets_no_administrators_password(front: Instance) -> None:
    host = replace(front, address=OTHER)
    assert host.refresh().returncode == 0
    settings = Settings.load(environ=host.environment())
    assert settings.autoscaler_url == f"http://{FRONT}:5002"
    assert settings.storage_urls == (f"http://{OTHER}:5001",)
    assert settings.admin_password is None
    assert not [line for line in host.calls("aws") if "arn:admin" in line]


def test_a_version_is_installed_once_and_only_from_the_bucket(front: Instance) -> None:
    assert front.refresh().returncode == 0
    assert front.refresh().returncode == 0
    (call,) = front.calls("pip")
    assert "--no-index" in call
    assert call.endswith("elastic-images[aws]==1.2.3")
    (copied,) = front.calls("aws s3")
    assert " s3://bucket/packages/1.2.3/ " in copied
    assert (front.root / "opt/elastic-images/current").resolve().name == "1.2.3"
    assert not list((front.root / "tmp").iterdir())  # no wheels are left


def test_what_is_installed_can_be_read_by_the_service(front: Instance) -> None:
    assert front.refresh().returncode == 0
    installed = front.root / "opt/elastic-images/1.2.3"
    assert installed.stat().st_mode & 0o055 == 0o055
    assert (installed / "bin").stat().st_mode & 0o055 == 0o055
    assert (front.root / "etc/elastic-images/rds.pem").stat().st_mode & 0o044 == 0o044


def test_another_version_is_installed_beside_the_old_one(front: Instance) -> None:
    assert front.refresh().returncode == 0
    front.write_settings(VALUES | {"STACK_VERSION": "1.3.0"})
    assert front.refresh().returncode == 0
    assert (front.root / "opt/elastic-images/current").resolve().name == "1.3.0"
    assert (front.root / "opt/elastic-images/1.2.3/complete").exists()


def test_an_installation_that_failed_starts_nothing_and_is_begun_again(front: Instance) -> None:
    (front.root / "pip-code").write_text("1")
    assert front.refresh().returncode != 0
    assert not (front.root / "opt/elastic-images/current").exists()
    (front.root / "pip-code").write_text("0")
    assert front.refresh().returncode == 0
    assert len(front.calls("pip")) == 2


def test_packages_that_are_not_what_was_pushed_are_not_installed(front: Instance) -> None:
    (front.root / "wrong").write_text("a byte too many")
    assert front.refresh().returncode != 0
    assert front.calls("pip") == []


@pytest.mark.parametrize("script", ["refresh", "boot", "command"])
def test_the_scripts_are_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n", str(FOLDER / script)], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the package systemd")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_the_units(tmp_path: Path, unit: str) -> None:
    """With the program in a place where there is one, and the addition that instances of the stack get."""
    text = (ROOT / "deploy/systemd" / unit).read_text()
    assert "ExecStart=/opt/elastic-images/current/bin/python -m elastic_images " in text
    text = text.replace("/opt/elastic-images/current/bin/python", sys.executable)
    addition = (FOLDER / "aws.conf").read_text().replace("/usr/local/sbin/elastic-images-refresh", "/bin/true")
    file = tmp_path / unit.replace("@.", "@web.")
    file.write_text(text + "\n" + addition)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
