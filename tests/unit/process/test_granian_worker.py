"""The internals of Granian that `process.granian_worker` relies on: when one changes, this says which."""

from __future__ import annotations

import inspect
import socket
import threading
from typing import Any

import pytest
from granian._granian import SocketHolder
from granian.server import MTServer
from granian.server.mt import WorkerThread

from elastic_images.process.granian_worker import GranianWorker

_HELD_BY_A_SERVER = {"_shd", "websockets"}


def test_a_socket_holder_takes_a_descriptor() -> None:
    holder: Any = SocketHolder
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = holder(listener.fileno(), False, 128)  # noqa: FBT003 - as the module calls it
        assert (held.get_fd(), held.is_uds()) == (listener.fileno(), False)


def test_a_server_has_what_is_set() -> None:
    server = MTServer("service")
    assert vars(server).keys() >= _HELD_BY_A_SERVER


def test_a_worker_thread_is_made_from_what_is_given() -> None:
    spawn: Any = MTServer._spawn_worker
    assert list(inspect.signature(spawn).parameters) == ["self", "idx", "target", "callback_loader"]
    source = inspect.getsource(spawn)
    for name in ("callback_loader", "self._shd", "self.websockets", "self.blocking_threads", "self.backpressure"):
        assert name in source, f"a worker does not get {name}"
    target: Any = MTServer._spawn_wsgi_worker
    assert list(inspect.signature(target).parameters)[:4] == ["worker_id", "shutdown_event", "callback", "sock"]


def test_a_worker_thread_can_be_ended() -> None:
    assert list(inspect.signature(WorkerThread.terminate).parameters) == ["self"]
    assert "self.inner = threading.Thread(" in inspect.getsource(WorkerThread._spawn)


def test_a_worker_serves_stops_and_says_so() -> None:
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    worker = GranianWorker(app, listener, threads=2, idle_seconds=5, max_connections=128, on_exit=ended.set)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().endswith(b"\r\n\r\nok")
    assert worker.alive
    assert worker.stop(10)
    assert not worker.alive
    assert ended.wait(10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)


def test_a_worker_that_quits_accepting_keeps_its_connections() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    others = listener.dup()

    def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    worker = GranianWorker(app, listener, threads=2, idle_seconds=60, max_connections=128, on_exit=lambda: None)
    with socket.create_connection(others.getsockname(), 10) as kept:
        for _ in range(2):
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(4096).endswith(b"\r\n\r\nok")
            worker.quit_accepting()
        with socket.create_connection(others.getsockname(), 10) as client:
            others.settimeout(10)
            accepted, address = others.accept()
            assert address == client.getsockname(), "the worker left it to others"
            accepted.close()
    assert worker.stop(10)
    others.close()
