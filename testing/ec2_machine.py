"""An EC2 instance simulated on this machine: runs the whole user data, with stubs for what only an instance has.

The script's commands run unchanged, except for stubs of `dnf`, `useradd`, `systemctl`, the metadata service, and
Python's virtual environment, which is the one that runs the tests. `aws` talks to the tests' servers. Then the units
that the script wrote and enabled are started as systemd would: one fetches the token, then the node is started with
its environment and credential, and restarted if it fails.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from testing.ec2_stand_ins import Boot

_AWS = """#!{python}
import pathlib, sys, boto3
words = sys.argv[1:]
if words[:2] == ["s3", "cp"] and "--recursive" in words:
    source, target = words[-2:]
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        s3.download_file(bucket, one["Key"], str(pathlib.Path(target) / one["Key"].removeprefix(prefix)))
elif words[:2] == ["secretsmanager", "get-secret-value"] and words[-3:] == ["SecretString", "--output", "text"]:
    secret = words[words.index("--secret-id") + 1]
    print(boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
else:
    sys.exit(f"aws: {{words}}")
"""
_CURL = """#!/bin/bash
case "$*" in
  *"-X PUT"*169.254.169.254/latest/api/token*) echo imds-token ;;
  *"X-aws-ec2-metadata-token: imds-token"*169.254.169.254/latest/meta-data/local-ipv4*) echo 127.0.0.1 ;;
  *) exit 22 ;;
esac
"""
_SYSTEMCTL = """#!/bin/bash
echo "$*" >> "$EI_ROOT/systemctl"
"""
_PYTHON = """#!/bin/bash
[ "$1 $2" = "-m venv" ] || exit 2
mkdir -p "$3/bin"
ln -s {command} "$3/bin/elastic-images"
cat > "$3/bin/python" << 'PIP'
#!/bin/bash
[[ "$*" == "-m pip install "*"--no-index --find-links "*" elastic-images"*"=={version}" ]] && \
  ls "$EI_ROOT/opt/elastic-images/wheels/elastic_images-{version}-py3-none-any.whl" > /dev/null
PIP
chmod 755 "$3/bin/python"
"""
_NOTHING = "#!/bin/bash\n"


def write_stubs(folder: Path, command: Path, version: str) -> Path:
    """Write the stubs to a folder that goes first in PATH."""
    folder.mkdir(parents=True)
    programs = {
        "aws": _AWS.format(python=sys.executable),
        "curl": _CURL,
        "systemctl": _SYSTEMCTL,
        "python3.11": _PYTHON.format(command=shlex.quote(str(command)), version=version),
        "useradd": _NOTHING,
        "dnf": "#!/bin/bash\nexit 1\n",
    }
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


class ScriptedMachine:
    """One instance, with its files in `root`."""

    def __init__(self, root: Path, user_data: str, stubs: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        root.mkdir(parents=True)
        self._environ = {**environ, "EI_ROOT": str(root), "PATH": f"{stubs}:{os.environ['PATH']}", "HOME": str(root)}
        self._log = (root / "console").open("ab")
        self._off = False
        script = root / "user-data"
        script.write_text(user_data)
        self._boot = self._start(["bash", str(script)], self._environ)
        self._token: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def _start(
        self, command: list[str], environ: Mapping[str, str], folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=dict(environ),
            cwd=folder or self.root,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def node(self) -> subprocess.Popen[bytes]:
        """The node's process."""
        assert self._node is not None
        return self._node

    @property
    def console(self) -> str:
        """Everything printed on it."""
        return (self.root / "console").read_text(errors="replace")

    @property
    def _all(self) -> list[subprocess.Popen[bytes]]:
        return [one for one in (self._boot, self._token, self._node) if one is not None]

    @property
    def living(self) -> bool:
        return any(one.poll() is None for one in self._all)

    @property
    def wants_off(self) -> bool:
        return "poweroff" in self._told()

    def _told(self) -> list[str]:
        """The calls of systemctl, a line each."""
        path = self.root / "systemctl"
        return path.read_text().splitlines() if path.exists() else []

    def tick(self) -> None:
        """Act as systemd does."""
        if self._off or self._boot.poll() != 0 or "enable --now elastic-images-node.service" not in self._told():
            return
        if self._token is None:
            place = self.root / "run" / "elastic-images-token"
            place.mkdir(mode=0o700)
            command = self._here(self._unit("elastic-images-token")["ExecStart"][0])
            self._token = self._start([command], {**self._environ, "RUNTIME_DIRECTORY": str(place)})
        elif self._token.poll() == 0 and (self._node is None or self._node.poll() not in (None, 0)):
            self._node = self._start_node()
            self.starts += 1

    def _unit(self, name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in (self.root / "etc/systemd/system" / f"{name}.service").read_text().splitlines():
            key, separator, value = line.partition("=")
            if separator:
                found.setdefault(key, []).append(value)
        return found

    def _here(self, path: str) -> str:
        return f"{self.root}{path}"

    def _start_node(self) -> subprocess.Popen[bytes]:
        unit = self._unit("elastic-images-node")
        name, _, source = unit["LoadCredential"][0].partition(":")
        credentials = self.root / "run" / "credentials"
        credentials.mkdir(mode=0o700, exist_ok=True)
        (credentials / name).write_bytes(Path(self._here(source)).read_bytes())
        (credentials / name).chmod(0o400 | 0o200)
        environ = {key: value for key, value in self._environ.items() if key.startswith("AWS_") or key == "PATH"}
        for line in Path(self._here(unit["EnvironmentFile"][0])).read_text().splitlines():
            key, _, value = line.partition("=")
            environ[key] = value
        for word in unit["Environment"]:
            key, _, value = word.partition("=")
            environ[key] = value.replace("%d", str(credentials))
        # This machine is not the instance: files are below `root`, and the node listens on the loopback only.
        assert environ["ELASTIC_IMAGES_INTERNAL_HOST"] == "0.0.0.0"
        environ["ELASTIC_IMAGES_INTERNAL_HOST"] = "127.0.0.1"
        data = Path(self._here(environ["ELASTIC_IMAGES_DATA"]))
        data.mkdir(parents=True, exist_ok=True)
        environ["ELASTIC_IMAGES_DATA"] = str(data)
        program, *words = shlex.split(unit["ExecStart"][0])
        return self._start([self._here(program), *words], environ, data)

    def shut_down(self) -> None:
        self._off = True
        self._signal(signal.SIGTERM)

    def cut_off(self) -> None:
        self._off = True
        self._signal(signal.SIGKILL)
        for one in self._all:
            one.wait()
        self._log.close()

    def _signal(self, number: signal.Signals) -> None:
        for one in self._all:
            if one.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(one.pid, number)


def scripted_boot(folder: Path, stubs: Path, environ: Mapping[str, str]) -> Boot:
    """Boots instances from their user data, each in its own folder; `environ` stands in for their profile."""
    return lambda _ec2, id_, _slot, user_data: ScriptedMachine(folder / id_, user_data, stubs, environ)
