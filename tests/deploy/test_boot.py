"""The files that an instance boots with: units that systemd takes, and the script before each start, really run.

AWS's command line, the instance's metadata service and pip are stand-ins; the script, its files and what the settings
make of them are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.deploy.stacks import FOLDER, ROOT

from elastic_images.settings import Settings

UNITS = ("elastic-images.service", "elastic-images@.service")
FRONT, OTHER = "10.83.0.10", "10.83.1.20"
VALUES = {
    "STACK_VERSION": "1.2.3",
    "STACK_PACKAGES": "s3://bucket/packages",
    "STACK_INTERNAL_TOKEN": "arn:token",
    "STACK_SECRET_KEY": "arn:key",
    "STACK_ADMIN_PASSWORD": "arn:admin",
    "STACK_DATABASE_PASSWORD": "arn:database",
    "STACK_DATABASE": "mysql://elastic:PASSWORD@db.example.org:3306/elastic_images?ssl_ca=/etc/elastic-images/rds.pem",
    "ELASTIC_IMAGES_OBJECT_STORE": "s3://bucket/images",
    "ELASTIC_IMAGES_METRICS": "cloudwatch://ElasticImages-x",
    "ELASTIC_IMAGES_NODE_PROVIDER": "ec2://?ami=ami-1&type=t3.small&subnet=subnet-1&subnet=subnet-2&pool=x",
    "ELASTIC_IMAGES_ALLOWED_HOSTS": "images.example.org,balancer.example.org",
    "ELASTIC_IMAGES_TRUSTED_PROXIES": "10.83.0.0/16",
}
AWS = """#!/bin/bash
echo "aws $*" >> CALLS
case "$1 $2" in
  "ssm get-parameter") [ "$4" = /elastic-images/x ] && cat SETTINGS ;;
  "secretsmanager get-secret-value") echo "content-of-$4" ;;
  "s3 cp")
    cd "$6"
    echo wheel > elastic_images.whl
    sha256sum elastic_images.whl > SHA256SUMS
    cat WRONG >> elastic_images.whl ;;
  *) exit 1 ;;
esac
"""
CURL = """#!/bin/bash
echo "curl $*" >> CALLS
case "$*" in
  *api/token*) echo token ;;
  *"aws-ec2-metadata-token: token"*local-ipv4) printf %s ADDRESS ;;
  *truststore*) while [ "$1" != -o ]; do shift; done; echo certificates > "$2" ;;
  *) exit 1 ;;
esac
"""
PYTHON = """#!/bin/bash
echo "python3.11 $*" >> CALLS
mkdir -p "$3/bin"
printf '#!/bin/bash\\necho "pip $*" >> CALLS\\nexit "$(cat PIP_CODE)"\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


@dataclass(frozen=True)
class Instance:
    """A folder that stands for an instance's disk."""

    root: Path
    address: str

    def refresh(self) -> subprocess.CompletedProcess[str]:
        """Run the script as systemd would, with the roots of its paths moved."""
        script = (FOLDER / "refresh").read_text()
        for folder in ("/etc/elastic-images", "/run/elastic-images", "/opt/elastic-images"):
            for before in (" ", "="):
                script = script.replace(f"{before}{folder}", f"{before}{self.root}{folder}")
        self._tool("aws", AWS)
        self._tool("curl", CURL)
        self._tool("python3.11", PYTHON)
        self._tool("chown", "#!/bin/bash\n")
        environ = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "TMPDIR": str(self.root / "tmp")}
        script = f"umask 077\n{script}"  # the unit's
        return subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=False)

    def write_settings(self, values: dict[str, str]) -> None:
        (self.root / "settings").write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def environment(self) -> dict[str, str]:
        lines = (self.root / "run/elastic-images/environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def calls(self, word: str) -> list[str]:
        return [line for line in (self.root / "calls").read_text().splitlines() if line.startswith(word)]

    def _tool(self, name: str, script: str) -> None:
        for word, value in {
            "CALLS": self.root / "calls",
            "SETTINGS": self.root / "settings",
            "PIP_CODE": self.root / "pip-code",
            "WRONG": self.root / "wrong",
            "ADDRESS": self.address,
        }.items():
            script = script.replace(word, str(value))
        tool = self.root / "bin" / name
        tool.write_text(script)
        tool.chmod(0o755)


@pytest.fixture
def front(tmp_path: Path) -> Instance:
    for folder in ("bin", "tmp", "etc/elastic-images", "run/elastic-images", "opt/elastic-images"):
        (tmp_path / folder).mkdir(parents=True)
    stack = f"STACK_NAME=x\nSTACK_REGION=eu-central-1\nSTACK_SETTINGS=/elastic-images/x\nSTACK_FRONT={FRONT}\n"
    (tmp_path / "etc/elastic-images/stack").write_text(stack)
    (tmp_path / "pip-code").write_text("0")
    (tmp_path / "wrong").write_text("")
    made = Instance(tmp_path, FRONT)
    made.write_settings(VALUES)
    return made


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
