"""The user data: whole, small enough, without a secret, and understood by bash and systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from testing.settings import make_settings
from tests.unit.autoscaler.nodes.test_ec2_setting import setting

from elastic_images import __version__
from elastic_images.autoscaler.nodes.ec2.boot import MAX_BYTES, Boot, boot_for
from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting
from elastic_images.core.errors import InvalidRequest

VPC = {"storage_urls": ("http://10.0.0.4:5001", "http://10.0.0.5:5001"), "autoscaler_url": "http://10.0.0.4:5002"}


def boot(tmp_path: Path, **changes: object) -> Boot:
    settings = make_settings(tmp_path, **{**VPC, "internal_host": "0.0.0.0", **changes})
    return boot_for(parse_ec2_setting(setting()), settings, "eu-central-1")


def test_it_is_whole_and_fits(tmp_path: Path) -> None:
    script = boot(tmp_path, metrics="cloudwatch://Elastic").user_data(3)
    assert "{{" not in script
    assert len(script.encode()) < MAX_BYTES * 0.75
    assert f"version={__version__}" in script
    assert f"requirement='elastic-images[aws]=={__version__}'" in script
    assert "serve memcache --slot 3" in script
    assert "ELASTIC_IMAGES_STORAGE_URLS=http://10.0.0.4:5001,http://10.0.0.5:5001" in script
    assert "watched='http://10.0.0.4:5001 http://10.0.0.5:5001 http://10.0.0.4:5002'" in script


def test_bash_understands_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=boot(tmp_path).user_data(0), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_secret_is_in_it(tmp_path: Path) -> None:
    secrets = {"internal_token": "the-internal-token", "secret_key": "the-secret-key", "admin_password": "the-password"}
    database = "mysql://elastic:the-database-password@db/elastic"
    script = boot(tmp_path, database=database, **secrets).user_data(0)
    for secret in (*secrets.values(), "the-database-password", "AWS_SECRET", "AWS_ACCESS"):
        assert secret not in script


def units(script: str) -> dict[str, str]:
    return dict(re.findall(r'^cat > "\$units/([\w.-]+)" << \'UNIT\'\n(.*?)^UNIT$', script, re.MULTILINE | re.DOTALL))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the package systemd")
def test_systemd_understands_its_units(tmp_path: Path) -> None:
    found = units(boot(tmp_path).user_data(7))
    assert len(found) == 4
    for name, text in found.items():
        # The programs are not here; whether they are is the one thing that this cannot tell.
        (tmp_path / name).write_text(re.sub(r"^ExecStart=/\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in found)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "elastic-images" in line]
    assert ours == []


def test_a_node_runs_as_nobody_in_particular(tmp_path: Path) -> None:
    unit = units(boot(tmp_path).user_data(0))["elastic-images-node.service"]
    for line in (
        "User=elastic-images",
        "Restart=on-failure",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "LoadCredential=internal-token:/run/elastic-images-token/internal-token",
    ):
        assert line in unit.splitlines()


def test_addresses_that_only_this_machine_can_reach_are_replaced_or_refused(tmp_path: Path) -> None:
    here = {"storage_urls": ("http://127.0.0.1:5001",), "autoscaler_url": "http://127.0.0.1:5002"}
    made = boot(tmp_path, **here, advertise="10.0.0.4")
    assert made.environment["ELASTIC_IMAGES_STORAGE_URLS"] == "http://10.0.0.4:5001"
    assert made.watched == ("http://10.0.0.4:5001", "http://10.0.0.4:5002")
    with pytest.raises(InvalidRequest, match=r"cannot reach http://127\.0\.0\.1:5001: set ELASTIC_IMAGES_STORAGE_URLS"):
        boot(tmp_path, **here)
    with pytest.raises(InvalidRequest, match=r"listen on 127\.0\.0\.1 only"):
        boot(tmp_path, **here, advertise="10.0.0.4", internal_host="127.0.0.1")


def test_a_value_that_the_script_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="ELASTIC_IMAGES_METRICS"):
        boot(tmp_path, metrics="cloudwatch://$(reboot)")
