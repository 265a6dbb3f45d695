"""New processes for a running system: nobody is refused, and nothing fails, while they are replaced or killed."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator

import pytest
from testing.steady_load import SteadyLoad, steady_load
from testing.system import System, running
from testing.waiting import wait_for

from elastic_images.supervisor.control import control_path

APPS = ("storage", "autoscaler", "web", "manager")
RELOADS = 3


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("reload"), web_processes=2, storage_processes=2, nodes=2) as started:
        yield started


def token(system: System) -> str:
    return (system.data / "cli-token").read_text().strip()


def pids(system: System, *apps: str) -> set[int]:
    return {process.pid for app in apps for process in system.find(app)}


def goes_on(load: SteadyLoad) -> None:
    so_far = load.requests
    wait_for(lambda: load.requests > so_far + 50, "the load goes on")


def test_nothing_fails_while_all_processes_are_replaced(system: System) -> None:
    nodes = pids(system, "memcache")
    with steady_load(system.port(), token(system)) as load:
        wait_for(lambda: load.requests > 50, "the load has begun")
        for _ in range(RELOADS):
            before = {process.pid: process for app in APPS for process in system.find(app)}
            done = system.cli_json("reload")
            assert done["ok"], done
            assert sorted(done["new"]) == [
                "autoscaler",
                "imaging",
                "manager",
                "storage 1",
                "storage 2",
                "web 1",
                "web 2",
            ]
            goes_on(load)
        wait_for(lambda: not any(one.is_running() for one in before.values()), "the old processes are gone", seconds=90)
        goes_on(load)
    assert load.failures == []
    assert {app: len(system.find(app)) for app in APPS} == {"storage": 2, "autoscaler": 1, "web": 2, "manager": 1}
    assert pids(system, "memcache") == nodes, "nodes are left alone"
    system.scale(3)  # the new autoscaler acts
    system.scale(2)


def test_the_last_reload_is_shown_line_by_line(system: System) -> None:
    lines = system.cli("reload").stdout.splitlines()
    assert lines[:2] == ["imaging: starting", "imaging: new"]
    assert lines[-1] == "manager: new"
    assert len(lines) == 2 * 7


def test_a_new_process_that_does_not_become_ready_leaves_the_old_one(system: System) -> None:
    wait_for(lambda: len(pids(system, "web")) == 2, "the old processes of the test before have ended")
    before = pids(system, "web")
    stop = threading.Event()

    def kill_new_web_processes() -> None:
        while not stop.is_set():
            for process in system.find("web"):
                if process.pid not in before:
                    process.kill()

    killer = threading.Thread(target=kill_new_web_processes)
    killer.start()
    try:
        done = system.cli("reload", "--json", check=False)
    finally:
        stop.set()
        killer.join()
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert sorted(told["old"]) == ["web 1", "web 2"]
    assert "killed by SIGKILL" in told["old"]["web 1"]
    assert sorted(told["new"]) == ["autoscaler", "imaging", "manager", "storage 1", "storage 2"]
    assert pids(system, "web") == before
    assert system.client().readyz() == 200


def test_nobody_is_refused_while_a_killed_web_process_restarts(system: System) -> None:
    first = system.find("web")
    with steady_load(system.port(), token(system)) as load:
        wait_for(lambda: load.requests > 50, "the load has begun")
        for process in first:
            system.kill(process)
        wait_for(lambda: len(system.find("web")) == 2, "web is started again")
        goes_on(load)
    refused = [failure for failure in load.failures if "Refused" in failure]
    assert refused == []
    assert not [failure for failure in load.failures if "stale" in failure]


def test_only_this_user_may_reload_and_nobody_holds_up_the_supervisor(system: System) -> None:
    path = control_path(system.data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(os.fspath(path))
    with silent, socket.socket(socket.AF_UNIX) as wrong:
        wrong.connect(os.fspath(path))
        wrong.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert json.loads(wrong.makefile().readline()) == {"error": "Unknown request."}
        assert system.cli_json("reload")["ok"]
        assert silent.recv(100) == b'{"error": "Unknown request."}\n', "its time is over"


def test_a_reload_without_a_system_says_so(tmp_path_factory: pytest.TempPathFactory, system: System) -> None:
    done = system.cli("reload", check=False, data=tmp_path_factory.mktemp("none"))
    assert done.returncode == 5
    assert "No system runs" in done.stderr


def test_an_old_process_does_not_outlive_the_supervisor(system: System) -> None:
    system.cli("reload")
    assert system.stop() == 0  # fails if a process is left
