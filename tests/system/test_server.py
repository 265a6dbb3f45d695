"""Serving an app: what we rely on Granian for, and how a process starts and ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import pytest
from flask import request
from testing.system import free_offset
from testing.waiting import wait_for

from elastic_images.cli.serve import activated_socket
from elastic_images.core.errors import InvalidRequest
from elastic_images.front.limits import Limits
from elastic_images.http.base_app import base_app
from elastic_images.http.internal_client import InternalClient
from elastic_images.process import lifeline, server
from elastic_images.process.listening import inherited
from elastic_images.process.ports import PortTaken, bind, check_free, ports_of

SCRIPT = Path(__file__).with_name("tiny_service.py")
ROOT = Path(__file__).resolve().parents[2]
LONG_SECONDS = 60.0


@dataclass
class Tiny:
    """A running tiny service."""

    process: subprocess.Popen[str]
    ready: dict[str, int]

    @property
    def port(self) -> int:
        return self.ready["port"]

    def get(self, path: str = "/") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and what it printed."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=LONG_SECONDS)
        return self.process.returncode, printed


def launch(options: dict[str, object], pass_fds: tuple[int, ...] = (), **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(options)],
        cwd=ROOT,
        env={**os.environ, **environ},
        pass_fds=pass_fds,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


Start = Callable[..., Tiny]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(*, pass_fds: tuple[int, ...] = (), environ: dict[str, str] | None = None, **options: object) -> Tiny:
        reader, writer = os.pipe()
        process = launch({**options, "ready_fd": writer}, (writer, *pass_fds), **(environ or {}))
        started.append(process)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            line = pipe.readline()
        assert line, process.communicate(timeout=LONG_SECONDS)[0]
        return Tiny(process, json.loads(line))

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LONG_SECONDS)


def unfinished_upload(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    return connection


def test_port_0_is_any_free_port_and_the_ready_line_names_it(start: Start) -> None:
    tiny = start(port=0)
    assert tiny.ready == {"port": tiny.port, "control_port": 4242}
    assert tiny.port > 0
    assert tiny.get() == "hello"
    code, printed = tiny.end()
    assert code == 0
    assert f"start 127.0.0.1:{tiny.port}" in printed
    assert printed.count("stop\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_stop_signal_stops_it(start: Start, number: int) -> None:
    assert start().end(number)[0] == 0


def test_it_takes_as_many_descriptors_as_it_may_have(start: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 300), hard))
    try:
        tiny = start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert psutil.Process(tiny.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (min(hard, 65_536), hard)


def test_it_is_one_process(start: Start) -> None:
    tiny = start()
    assert int(tiny.get("/pid")) == tiny.process.pid
    assert psutil.Process(tiny.process.pid).children() == []
    tiny.end(signal.SIGKILL)
    check_free("127.0.0.1", [tiny.port])


def test_an_upload_without_end_does_not_hold_its_exit(start: Start) -> None:
    tiny = start(grace_seconds=0.5)
    with unfinished_upload(tiny.port):
        code, printed = tiny.end()
    assert code == 0
    assert "cut off" in printed
    assert "stop\n" in printed


def test_an_idle_connection_does_not_hold_its_exit(start: Start) -> None:
    tiny = start(grace_seconds=LONG_SECONDS * 2)
    connection = http.client.HTTPConnection("127.0.0.1", tiny.port)
    connection.request("GET", "/")
    connection.getresponse().read()
    assert tiny.end()[0] == 0
    connection.close()


def test_a_request_under_way_is_answered_and_no_other_is_taken(start: Start) -> None:
    tiny = start()
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(tiny.get("/slow")))
    thread.start()
    stdout: IO[str] = tiny.process.stdout  # type: ignore[assignment]
    assert any(line == "slow began\n" for line in stdout)
    tiny.process.send_signal(signal.SIGTERM)
    wait_for(lambda: refused(tiny.port), "new connections are refused", seconds=LONG_SECONDS)
    thread.join()
    assert answers == ["hello"]
    assert tiny.process.wait(LONG_SECONDS) == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("stop", ["fails", "hangs"])
def test_a_service_that_does_not_stop_does_not_hold_its_exit(start: Start, stop: str) -> None:
    code, printed = start(stop=stop).end()
    assert code == 0
    assert "did not stop" in printed


def test_it_leaves_when_the_supervisor_is_gone(start: Start) -> None:
    ours, theirs = socket.socketpair()
    tiny = start(pass_fds=(theirs.fileno(),), lifeline_fd=theirs.fileno())
    theirs.close()
    with unfinished_upload(tiny.port):
        ours.close()
        assert tiny.process.wait(LONG_SECONDS) == lifeline.LOST_EXIT_CODE
    assert "stop\n" in tiny.process.communicate()[0]


def test_it_leaves_with_its_supervisor_though_stopping_hangs(start: Start) -> None:
    ours, theirs = socket.socketpair()
    tiny = start(pass_fds=(theirs.fileno(),), lifeline_fd=theirs.fileno(), stop="hangs")
    theirs.close()
    ours.close()
    assert tiny.process.wait(LONG_SECONDS) == lifeline.LOST_EXIT_CODE


def test_a_taken_port_is_refused_and_a_free_offset_is_named() -> None:
    with free_offset() as offset, bind("127.0.0.1", 5001 + offset) as taken:
        port = taken.getsockname()[1]
        process = launch({"port": port})
        printed, _ = process.communicate(timeout=LONG_SECONDS)
        assert process.returncode == 1
        assert f"PortTaken: Port {port} on 127.0.0.1 is taken." in printed
        named = int(printed.partition("--port-offset ")[2].split()[0])
        assert named != offset
        check_free("127.0.0.1", ports_of(named))


def test_no_free_offset_is_promised_for_a_port_that_none_moves() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(PortTaken) as caught:
        bind("127.0.0.1", taken.getsockname()[1])
    assert "offset" not in str(caught.value)


def test_a_port_has_one_owner_unless_both_share_it() -> None:
    with bind("127.0.0.1", 0) as alone, pytest.raises(PortTaken):
        bind("127.0.0.1", alone.getsockname()[1], shared=True)
    with bind("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        bind("127.0.0.1", port, shared=True).close()
        with pytest.raises(PortTaken):
            bind("127.0.0.1", port)


def test_the_end_of_an_answer_does_not_wait_for_the_clients_acknowledgement() -> None:
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequest):
        bind(host, 0)


def test_two_processes_divide_a_port_and_one_outlives_the_other(start: Start) -> None:
    first = start(shared_port=True)
    second = start(shared_port=True, port=first.port)
    pids = {str(first.process.pid), str(second.process.pid)}
    seen: set[str] = set()
    wait_for(lambda: seen.add(first.get("/pid")) or seen == pids, "both answer")  # type: ignore[func-returns-value]
    first.end(signal.SIGKILL)
    assert {second.get("/pid") for _ in range(20)} == {str(second.process.pid)}


def test_an_error_in_the_app_is_500_and_is_logged_without_secrets(start: Start) -> None:
    tiny = start()
    with pytest.raises(urllib.error.HTTPError, match="500") as caught:
        tiny.get("/fail")
    caught.value.close()
    assert tiny.get() == "hello"
    _, printed = tiny.end()
    assert "ValueError" in printed
    assert "HIDDEN" not in printed


def test_settings_are_not_in_the_wsgi_environ(start: Start) -> None:
    tiny = start(environ={"ELASTIC_IMAGES_SECRET_KEY": "x", "ELASTIC_IMAGES_DATABASE": "mysql://u:p@h/n"})
    assert json.loads(tiny.get("/environ")) == []


def test_a_reader_that_is_gone_does_not_keep_it_from_serving() -> None:
    reader, writer = os.pipe()
    process = launch({"ready_fd": writer}, (writer,))
    os.close(writer)
    os.close(reader)
    stdout: IO[str] = process.stdout  # type: ignore[assignment]
    assert any("serving on" in line for line in stdout)
    process.terminate()
    process.communicate(timeout=LONG_SECONDS)
    assert process.returncode == 0


def test_an_app_is_served_from_within_a_test() -> None:
    def wsgi(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"within"]

    with server.serving(wsgi) as bound:
        with urllib.request.urlopen(f"http://{bound.address}/", timeout=60) as answer:
            assert answer.read() == b"within"
        assert answer.status == 200
    assert refused(bound.port)


@pytest.mark.parametrize("length", [2, 300_000])
def test_a_refusal_before_the_end_of_the_body_leaves_the_connection_whole(length: int) -> None:
    # As browsers and our own clients send: the head, and the body in further segments, while the answer comes already.
    app = base_app("refusing", internal_token="right")
    head = f"POST /x HTTP/1.1\r\nHost: here\r\nX-Internal-Token: wrong\r\nContent-Length: {length}\r\n\r\n"
    with server.serving(app.wsgi_app) as bound, socket.create_connection(("127.0.0.1", bound.port), 20) as connection:
        for _ in range(20):
            connection.sendall(head.encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.getheader("Connection")) == (401, None)
            answer.read()
            connection.sendall(bytes(length))


def test_a_whole_body_is_read_whatever_way_it_is_asked_for() -> None:
    app = base_app("reading")

    @app.post("/<way>")
    def read(way: str) -> str:
        stream = request.environ["wsgi.input"]
        body = {"json": request.get_data, "all": stream.read, "least": lambda: stream.read(-1)}[way]()
        return str(len(body))

    with server.serving(app.wsgi_app) as bound:
        for way in ("json", "all", "least"):
            body = bytes(100_000)
            with urllib.request.urlopen(f"http://127.0.0.1:{bound.port}/{way}", body, timeout=60) as answer:
                assert answer.read() == b"100000"


def test_an_idle_connection_is_closed_after_its_time_and_not_before() -> None:
    def wsgi(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with server.serving(wsgi, limits=Limits(idle_seconds=1.0)) as bound:
        connection = socket.create_connection(("127.0.0.1", bound.port), timeout=60)
        with connection:
            asked = time.monotonic()
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            assert connection.recv(4096) == b""  # the server's end of the connection
            assert time.monotonic() - asked >= 1.0


def test_it_serves_a_socket_that_it_inherits(start: Start) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        tiny = start(pass_fds=(listener.fileno(),), listen_fd=listener.fileno(), port=1)
        assert tiny.port == port
        assert tiny.get() == "hello"
        assert tiny.end()[0] == 0
        with socket.create_connection(("127.0.0.1", port)):  # waits for the next process
            pass
        successor = start(pass_fds=(listener.fileno(),), listen_fd=listener.fileno())
        assert successor.get() == "hello"


def test_only_a_listening_socket_can_be_inherited() -> None:
    with pytest.raises(InvalidRequest, match="does not listen"):
        inherited(socket.socket().detach())
    reader, writer = os.pipe()
    with pytest.raises(InvalidRequest, match="not a socket"):
        inherited(reader)
    os.close(reader)
    os.close(writer)


def test_a_replaced_process_answers_on_its_connections_once_more(start: Start) -> None:
    with bind("127.0.0.1", 0) as listener:
        options = {"pass_fds": (listener.fileno(),), "listen_fd": listener.fileno(), "drain_seconds": LONG_SECONDS}
        old = start(**options)
        kept, idle = (http.client.HTTPConnection("127.0.0.1", old.port) for _ in range(2))
        assert pid_over(kept) == pid_over(idle) == old.process.pid
        new = start(**options)
        old.process.send_signal(signal.SIGUSR1)
        stdout: IO[str] = old.process.stdout  # type: ignore[assignment]
        assert any("replaced" in line for line in stdout)
        assert {int(new.get("/pid")) for _ in range(20)} == {new.process.pid}
        assert pid_over(kept) == old.process.pid
        assert kept.sock is None, "that was the last answer on it"
        assert pid_over(kept) == new.process.pid
        assert pid_over(idle) == old.process.pid
        assert old.end()[0] == 0, "a stop signal ends the draining"
        kept.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell which connections are open")
def test_a_replaced_process_ends_once_its_last_connection_has(start: Start) -> None:
    old = start(drain_seconds=LONG_SECONDS)
    kept = http.client.HTTPConnection("127.0.0.1", old.port)
    assert pid_over(kept) == old.process.pid
    old.process.send_signal(signal.SIGUSR1)
    with pytest.raises(subprocess.TimeoutExpired):
        old.process.wait(1.0)
    kept.close()
    assert old.process.wait(LONG_SECONDS / 2) == 0


def test_a_replaced_process_ends_after_it_has_left(start: Start) -> None:
    old = start(drain_seconds=LONG_SECONDS, leave_seconds=0.5)
    code, printed = old.end(signal.SIGUSR1)
    assert code == 0
    assert printed.index("replaced;") < printed.index("left\n") < printed.index("stop\n")


def test_clients_of_ours_close_their_idle_connections_to_a_process_that_ends_one() -> None:
    closing = threading.Event()
    together = threading.Barrier(3)

    def wsgi(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        if not closing.is_set():
            together.wait(60)
        start_response("200 OK", [("Content-Length", "2"), *([("Connection", "close")] if closing.is_set() else [])])
        return [b"{}"]

    with server.serving(wsgi) as bound, contextlib.closing(InternalClient(None)) as client:
        ours = psutil.Process()

        def kept() -> int:
            places = ours.net_connections("tcp")
            return sum(place.status == "ESTABLISHED" and place.raddr.port == bound.port for place in places)

        url = f"http://{bound.address}/"
        calls = [lambda: client.get_json(url), lambda: client.get_json(url), lambda: client.fetch(url)]
        threads = [threading.Thread(target=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert kept() == 3
        closing.set()
        client.notify(bound.address, "/", None, timeout_seconds=5.0)
        wait_for(lambda: kept() == 0, "none is kept")


def test_serve_takes_the_socket_that_systemd_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    for pid, sockets, taken in ((os.getpid(), "1", 3), (os.getpid(), "0", None), (1, "1", None)):
        monkeypatch.setenv("LISTEN_PID", str(pid))
        monkeypatch.setenv("LISTEN_FDS", sockets)
        assert activated_socket() == taken
        assert activated_socket() is None, "children must not take it, too"


def pid_over(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/pid")
    return int(connection.getresponse().read())
