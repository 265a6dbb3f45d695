"""What `aws push` makes: a wheel of the running package, its dependencies beside it, and both in a bucket once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from elastic_images import __version__
from elastic_images.cli.aws.own_wheel import make_own_wheel
from elastic_images.cli.aws.wheel_uploader import WheelUploader
from elastic_images.cli.aws.wheels import SUMS, collect
from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.storage.objects.s3.errors import S3Error

EXTRA = "Provides-Extra: aws\nRequires-Dist: boto3; extra == 'aws'\n"


class WithExtra:
    """The installed distribution, whichever extras it was installed with."""

    version = __version__

    def __init__(self) -> None:
        self._real = metadata.distribution("elastic-images")

    def read_text(self, name: str) -> str | None:
        text = self._real.read_text(name)
        if name == "METADATA" and text is not None and "Provides-Extra: aws" not in text:
            head, _, body = text.partition("\n\n")
            return f"{head.rstrip()}\n{EXTRA}\n{body}"
        return text


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = WithExtra(), metadata.distributions
    monkeypatch.setattr(metadata, "distributions", lambda **context: iter([made]) if context else real())


@pytest.mark.usefixtures("installed")
def test_the_own_wheel_can_be_installed_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = make_own_wheel(tmp_path / "a"), make_own_wheel(tmp_path / "b")
    assert first.name == f"elastic_images-{__version__}-py3-none-any.whl"
    assert first.read_bytes() == second.read_bytes()
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(tmp_path / "there"), str(first)], check=True)
    there = tmp_path / "there"
    assert (there / "elastic_images/autoscaler/nodes/ec2/templates/user_data.sh").is_file()
    assert (there / "bin/elastic-images").is_file(), "its entry point"
    with zipfile.ZipFile(first) as archive:
        assert not [name for name in archive.namelist() if "__pycache__" in name or name.startswith("/")]


@pytest.mark.usefixtures("installed")
def test_dependencies_come_in_the_versions_that_run_here(tmp_path: Path) -> None:
    """From a folder, in place of an index: one newer Flask lies in it, and for click nothing but a source."""
    shelf, target = tmp_path / "shelf", tmp_path / "target"
    shelf.mkdir()
    target.mkdir()
    names = [one.split(";")[0] for one in WithExtra().read_text("METADATA").splitlines() if "Requires-Dist" in one]  # type: ignore[union-attr]
    for name in {one.removeprefix("Requires-Dist: ").split("~")[0].split("[")[0].strip() for one in names}:
        fake_wheel(shelf, name, metadata.version(name) if is_installed(name) else "1.0")
    fake_wheel(shelf, "Flask", "3.1.999")
    said: list[str] = []
    found = [path.name for path in collect(target, ["x86_64"], wheels=shelf, say=said.append)]
    flask = metadata.version("flask")
    assert f"flask-{flask}-py3-none-any.whl" in [name.lower() for name in found]
    assert any(name.startswith("boto3-") for name in found)
    assert not any("999" in name for name in found)
    assert len(said) == 1
    sums = [f"{hashlib.sha256((target / name).read_bytes()).hexdigest()}  {name}" for name in found]
    assert (target / SUMS).read_text().splitlines() == sums
    assert {path.name for path in target.iterdir()} == {*found, SUMS}

    next(shelf.glob("click-*")).unlink()
    (tmp_path / "again").mkdir()
    with pytest.raises(Unavailable, match=r"pip cannot find the wheels that nodes need: .*click"):
        collect(tmp_path / "again", ["x86_64"], wheels=shelf, say=said.append)


def is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def fake_wheel(folder: Path, name: str, version: str) -> None:
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: binary\n"
        archive.writestr(f"{stem}.dist-info/METADATA", about)
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


def test_what_was_installed_long_ago_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old(WithExtra):
        version = "0.0.1"

    old = Old()
    monkeypatch.setattr(metadata, "distributions", lambda **_context: iter([old]))
    with pytest.raises(Unavailable, match=r"pip install -e"):
        make_own_wheel(tmp_path)


class Bucket:
    """An S3 service in memory, as far as uploads need it."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.calls.append(operation)
        key = arguments.get("Key", "")
        if operation == "HeadObject" and key not in self.objects:
            raise S3Error("404", 404, operation=operation)
        if operation == "PutObject":
            self.objects[key] = arguments
        if operation == "DeleteObject":
            del self.objects[key]
        if operation == "ListObjectsV2":
            prefix = arguments["Prefix"]
            return {"Contents": [{"Key": name} for name in self.objects if name.startswith(prefix)]}
        return {"Metadata": self.objects.get(key, {}).get("Metadata", {})}

    def body(self, answer: dict[str, Any]) -> Any:
        raise NotImplementedError


def test_what_is_there_is_not_uploaded_again(tmp_path: Path) -> None:
    bucket = Bucket()
    uploader = WheelUploader(bucket, "s3://bucket/packages/1.0")
    files = [tmp_path / "a.whl", tmp_path / "b.whl"]
    for path in (*files, tmp_path / SUMS):
        path.write_text(path.name)
    bucket.objects["packages/1.0/old.whl"] = bucket.objects["packages/0.9/other.whl"] = {}
    first = uploader.push(files, tmp_path / SUMS, lambda _bytes: None)
    assert (first.uploaded, first.kept, first.removed) == (3, 0, 1)
    assert "packages/0.9/other.whl" in bucket.objects
    names = [name for name in bucket.objects if name.startswith("packages/1.0/")]
    assert names[-1].endswith(SUMS), "what names the others comes after them"
    files[0].write_text("changed")
    again = uploader.push(files, tmp_path / SUMS, lambda _bytes: None)
    assert (again.uploaded, again.kept, again.removed) == (1, 2, 0)
    assert bucket.objects["packages/1.0/a.whl"]["Body"] == b"changed"


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="s3://BUCKET/PREFIX"):
        WheelUploader(Bucket(), "/tmp/packages")  # noqa: S108 - not made
