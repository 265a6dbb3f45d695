"""A system that runs on the very settings that an instance of the stack makes, asked as the load balancer asks.

Its stores are local, since Amazon's are elsewhere, and its ports are moved; the rest is what the front starts with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from testing.client import Answer
from testing.system import System, free_offset
from testing.waiting import wait_for
from tests.deploy.instance import make_front
from tests.deploy.stacks import resources

PROXY = "127.0.0.1/32"
"""In place of the VPC's addresses, where the load balancer is."""
VISITOR = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}
"""What an Application Load Balancer adds."""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("front")
    instance = make_front(folder, "127.0.0.1")
    assert instance.refresh().returncode == 0
    made = {name.removeprefix("ELASTIC_IMAGES_").lower(): value for name, value in instance.environment().items()}
    settings: dict[str, object] = {name: value for name, value in made.items() if not name.startswith("aws_")}
    for elsewhere in ("object_store", "database_file", "metrics", "node_provider"):
        del settings[elsewhere]
    with free_offset() as offset:
        settings |= {
            "autoscaler_url": f"http://127.0.0.1:{5002 + offset}",
            "trusted_proxies": PROXY,
            "near_cache_mb": 8,
        }
        system = System(Path(folder) / "data", offset, settings)
        system.launch()
        try:
            wait_for(lambda: all(system.client(app=app).readyz() == 200 for app in ("web", "manager")), "it is ready")
            yield system
        finally:
            system.end()


def asked(system: System, path: str, host: str, method: str = "GET", **more: str) -> Answer:
    return system.client().request(method, path, headers={"Host": host, **VISITOR, **more})


def test_the_health_check_is_answered_by_address(front: System) -> None:
    (targets,) = resources("system.yaml", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    answer = front.client().request("GET", targets["HealthCheckPath"], headers={"Host": "10.83.0.10:5000"})
    assert str(answer.status) == targets["Matcher"]["HttpCode"]


def test_people_come_in_by_the_systems_names_and_no_others(front: System) -> None:
    for host in ("images.example.org", "balancer.example.org"):
        assert asked(front, "/", host).status in (200, 302, 303)
    assert asked(front, "/", "evil.example.org").status not in (200, 302, 303)


def test_the_administrator_logs_in_with_the_password_of_the_secret(front: System) -> None:
    own = {"Origin": "https://images.example.org", "Sec-Fetch-Site": "same-origin"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def log_in(password: str) -> Answer:
        body = urlencode({"name": "admin", "password": password}).encode()
        headers = {"Host": "images.example.org", **VISITOR, **own, **form}
        return front.client().request("POST", "/login", body=body, headers=headers)

    assert log_in("a wrong one").status not in (302, 303)
    answer = log_in("content-of-arn:admin")
    assert answer.status == 303
    assert "Secure" in answer.headers["Set-Cookie"]  # the visitor came by HTTPS


def test_no_secret_is_in_its_log(front: System) -> None:
    assert "content-of-" not in front.log_path.read_text()
