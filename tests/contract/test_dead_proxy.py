"""A proxy in the environment that does not answer: every AWS service's error and `doctor` name its variable."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testing.object_servers import WRITER
from testing.settings import make_settings

from elastic_images.doctor.finding import OK, Finding
from elastic_images.doctor.metrics import check_metrics
from elastic_images.doctor.nodes import check_nodes
from elastic_images.doctor.object_store import check_store

EC2 = "ec2://?ami=ami-0abc1234&type=t3.small&subnet=subnet-0abc1234&security_group=sg-0abc1234&profile=p&packages=s3://bucket/p&secret=s"


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The place of a proxy that refuses connections. No test leaves this machine: all services are behind it."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", WRITER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRITER[1])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("elastic_images.storage.objects.s3.calls.Deadlines.__init__.__defaults__", (0.1, 0.1, 0.1))
    with socket.socket() as held:  # bound, and never listening
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def store() -> Iterator[Finding]:
    return check_store("s3://bucket/p")


CHECKS: dict[str, Callable[[Path], Iterator[Finding]]] = {
    "S3": lambda _: store(),
    "CloudWatch": lambda _: check_metrics("cloudwatch://Trial", "pool"),
    "EC2": lambda data: check_nodes(
        make_settings(data, node_provider=EC2, advertise="10.0.0.1", internal_host="0.0.0.0", internal_token="t" * 32)
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_doctor_names_the_variable(
    check: Callable[[Path], Iterator[Finding]], dead: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass-word@{dead}")
    found = [finding for finding in check(tmp_path) if finding.state != OK]
    assert found
    for finding in found:
        assert f"the proxy of HTTPS_PROXY={dead} does not answer" in finding.what
        assert "start the proxy, or change the variable" in (finding.mend or "")
        assert "pass-word" not in str(finding)


def test_a_service_without_tls_goes_through_the_other_variable(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example:9000")
    monkeypatch.setenv("http_proxy", dead)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert f"the proxy of http_proxy={dead} does not answer" in next(iter(store())).what


def test_a_machine_that_asks_a_proxy_for_its_role(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    found = next(iter(store()))
    assert (found.mend or "").startswith("give the machine a role")
    monkeypatch.setenv("HTTP_PROXY", f"http://{dead}")
    assert "169.254.169.254 to NO_PROXY" in (next(iter(store())).mend or "")
    monkeypatch.setenv("NO_PROXY", "169.254.169.254")
    assert (next(iter(store())).mend or "").startswith("give the machine a role")


def test_a_start_says_it(dead: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{dead}")
    monkeypatch.setenv("ELASTIC_IMAGES_DATA", str(tmp_path))
    monkeypatch.setenv("ELASTIC_IMAGES_OBJECT_STORE", "s3://bucket/p")
    done = subprocess.run(
        [sys.executable, "-m", "elastic_images", "prepare"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"The object store s3://bucket/p cannot be reached, because the proxy of HTTPS_PROXY={dead}" in done.stderr
    assert "correct or unset this variable, or add the service's host to NO_PROXY" in done.stderr
    assert "Traceback" not in done.stderr
