"""An instance of the stack, as far as a folder can be one: `refresh` runs in it, with stand-ins for what is AWS's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.stacks import FOLDER

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


def make_front(folder: Path, address: str = FRONT) -> Instance:
    """The front, before its first start."""
    for part in ("bin", "tmp", "etc/elastic-images", "run/elastic-images", "opt/elastic-images"):
        (folder / part).mkdir(parents=True)
    stack = f"STACK_NAME=x\nSTACK_REGION=eu-central-1\nSTACK_SETTINGS=/elastic-images/x\nSTACK_FRONT={address}\n"
    (folder / "etc/elastic-images/stack").write_text(stack)
    (folder / "pip-code").write_text("0")
    (folder / "wrong").write_text("")
    made = Instance(folder, address)
    made.write_settings(VALUES)
    return made
