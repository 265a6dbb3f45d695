"""A system on several hosts (network namespaces): they are cut off from each other, and nothing is stale or lost."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from benchmarks.checker.bodies import make_body
from benchmarks.checker.cuts import CUTS
from benchmarks.checker.several_hosts import SeveralOptions, check_several
from testing.client import Client
from testing.database_servers import mariadb, mariadb_installed, postgresql, postgresql_binaries
from testing.hosts.network import Network, network, why_not
from testing.hosts.system import SeveralHosts, several_hosts
from testing.nginx import NGINX, documented, running_nginx
from testing.waiting import wait_for

_WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT))


@pytest.mark.skipif(not mariadb_installed(), reason="needs mariadb-server")
def test_no_read_is_stale_or_fails_and_no_write_is_lost_whoever_is_cut_off() -> None:
    report = check_several(SeveralOptions(database=mariadb), CUTS)
    found = {name: report[name] for name in ("stale_reads", "failed_reads", "lost_writes")}
    assert found == {"stale_reads": 0, "failed_reads": 0, "lost_writes": 0}, report
    assert not report["findings"], report["findings"]
    # Without these it proves nothing.
    for cost in report["cuts"]:
        assert cost["reads"] > 0, cost
    assert len(report["cuts"]) == len(CUTS) + 1
    assert report["writes"] >= 50
    assert report["bypassed"] >= 1


@contextlib.contextmanager
def clients(system: SeveralHosts, token: str) -> Iterator[tuple[Client, Client]]:
    """Clients of both web hosts, while the test is on the host `people`."""
    with system.network.inside("people"):
        both = tuple(Client(f"http://{system.network.address(host)}:5000", token) for host in ("web1", "web2"))
        try:
            yield both[0], both[1]
        finally:
            for client in both:
                client.close()


KEYS = range(24)
NAME = "images.example.com"


def without_the_autoscaler_all_goes_on_and_a_dead_node_is_passed_over(system: SeveralHosts, token: str) -> None:
    """What docs/operations.md says of its absence; then it comes back, as systemd starts it again."""
    with clients(system, token) as (one, two):
        for key in KEYS:
            assert one.put(f"a/{key}", make_body(key, 1, 500)).status == 201
        nodes = {node["slot"]: node["incarnation"] for node in system.pool()["nodes"]}
        system.kill("autoscaler", "autoscaler")
        system.kill_node(1)
        for key in KEYS:
            assert two.get(f"a/{key}").body == make_body(key, 1, 500)
            assert two.put(f"a/{key}", make_body(key, 2, 500)).status == 200
            assert one.get(f"a/{key}").body == make_body(key, 2, 500)

        system.serve("autoscaler", "autoscaler")
        wait_for(partial(_is_whole, system), "the pool is whole again")
        left = {node["slot"]: node["incarnation"] for node in system.pool()["nodes"] if node["slot"] != 1}
        assert left == {slot: life for slot, life in nodes.items() if slot != 1}, "nodes that live are adopted"
        for key in KEYS:
            assert one.get(f"a/{key}").body == make_body(key, 2, 500)


def behind_the_load_balancer_a_web_host_that_is_gone_is_passed_over(
    system: SeveralHosts, token: str, folder: Path
) -> None:
    with nginx(system, folder) as url, system.network.inside("people"):
        balanced = Client(url, token)
        try:
            for key in KEYS:
                assert balanced.put(f"b/{key}", make_body(key, 1, 500)).status == 201
            system.network.unplug("web1")
            for key in KEYS:
                assert balanced.get(f"b/{key}").body == make_body(key, 1, 500)
            for key in KEYS:
                assert balanced.put(f"b/{key}", make_body(key, 2, 500)).status == 200
                assert balanced.get(f"b/{key}").body == make_body(key, 2, 500)
            system.network.mend()
            assert balanced.request("GET", "/images/b/0", headers={"Host": "elsewhere.example"}).status == 400
        finally:
            balanced.close()


@contextlib.contextmanager
def nginx(system: SeveralHosts, folder: Path) -> Iterator[str]:
    """nginx on the host `people`, with the configuration of docs/operations.md; its URL."""
    given = documented("operations.md")
    for number, host in enumerate(("web1", "web2")):
        given = given.replace(f"10.0.0.1{number + 1}:", f"{system.network.address(host)}:")
    with system.network.inside("people"), running_nginx(folder / "nginx", given):
        with contextlib.closing(Client("http://127.0.0.1")) as client:
            wait_for(lambda: client.readyz() == 200, "nginx answers")
        yield "http://127.0.0.1"


@pytest.mark.skipif(not postgresql_binaries(), reason="needs postgresql")
@pytest.mark.skipif(NGINX is None, reason="needs nginx")
def test_a_life_on_several_hosts(tmp_path: Path) -> None:
    """Step after step, in this order."""
    settings = {"allowed_hosts": f"{NAME},127.0.0.1"}
    with several_hosts(tmp_path, postgresql, **settings) as (system, token):
        without_the_autoscaler_all_goes_on_and_a_dead_node_is_passed_over(system, token)
        behind_the_load_balancer_a_web_host_that_is_gone_is_passed_over(system, token, tmp_path)


def _is_whole(system: SeveralHosts) -> bool:
    pool = system.pool()
    live = {node["slot"] for node in pool["nodes"] if node["state"] == "live"}
    return pool["phase"] == "settled" and not pool["busy"] and live == {0, 1, 2}


def test_a_network_is_removed_also_after_a_failure() -> None:
    seen: list[Path] = []

    def fail() -> None:
        with network(("a", "b")) as net:
            seen.extend(Path("/run/netns").glob(f"{net.namespace('')}*"))
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError):
        fail()
    assert len(seen) == 3
    assert not [path for path in seen if path.exists()]


def bound(net: Network, host: str) -> socket.socket:
    """A socket for datagrams on a host."""
    with net.inside(host):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((net.address(host), 9))
        made.settimeout(0.5)
        return made


def arrives(source: socket.socket, target: socket.socket) -> bool:
    """Whether a datagram that is sent now arrives; earlier ones may come first."""
    sent = uuid.uuid4().bytes
    source.sendto(sent, target.getsockname())
    try:
        while target.recv(100) != sent:
            pass
    except TimeoutError:
        return False
    return True


def test_packets_are_lost_in_one_direction_and_a_cable_can_be_pulled() -> None:
    with network(("a", "b")) as net, bound(net, "a") as there, bound(net, "b") as here:

        def both_arrive() -> bool:
            return arrives(there, here) and arrives(here, there)

        wait_for(both_arrive, "the switch forwards")
        net.lose("a", "b")
        assert not arrives(there, here)
        wait_for(lambda: arrives(here, there), "the other direction goes on")
        net.mend()
        wait_for(both_arrive, "both directions are back")
        net.unplug("a")
        assert not arrives(here, there)
        net.mend()
        wait_for(both_arrive, "the cable is back")
