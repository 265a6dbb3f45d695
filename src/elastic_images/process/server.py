"""Serving an app: Granian for WSGI, and our own listener in front of it if a data plane answers reads."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from elastic_images.front import event_loop
from elastic_images.front.backend_clients import LOOPBACK, BackendClients
from elastic_images.front.limits import Limits
from elastic_images.process import lifeline
from elastic_images.process.gate import PROBE_HEADER, Gate
from elastic_images.process.granian_worker import GranianWorker
from elastic_images.process.heartbeat import Heartbeat
from elastic_images.process.listening import inherited
from elastic_images.process.ports import bind
from elastic_images.process.stop_signals import StopSignals
from elastic_images.settings.addresses import reachable_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from elastic_images.front.admission import EarlyAnswer
    from elastic_images.front.listener import Front
    from elastic_images.front.reads import Environ, Reads

_log = logging.getLogger(__name__)
GRACE_SECONDS = 3.0
_SERVICE_STOP_SECONDS = 3.0
DRAIN_SECONDS = 15.0
"""How long a process with a successor goes on answering on its connections."""
_MAX_FILES = 65_536
_M_MMAP_THRESHOLD = -3
_RETURNED_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a service is listening."""

    port: int
    address: str
    """`host:port` under which others reach it."""


class Service(Protocol):
    """What an app's `service.py` builds: the app, its collaborators, and their start and stop."""

    @property
    def wsgi(self) -> WSGIApplication:
        """The app."""

    def start(self, bound: Bound) -> None:
        """Start the threads. Called once, when the port is bound and before the first request."""

    def stop(self) -> None:
        """Stop the threads, within 3 seconds. Called once, after the last request was answered or cut off."""


def run(
    service: Service,
    host: str,
    port: int,
    *,
    threads: int = 256,
    shared_port: bool = False,
    advertise: str | None = None,
    ready_fd: int | None = None,
    health_fd: int | None = None,
    listen_fd: int | None = None,
    lifeline_fd: int | None = None,
    grace_seconds: float = GRACE_SECONDS,
    drain_seconds: float = DRAIN_SECONDS,
) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP, or until the lifeline ends. Call it in the main thread.

    SIGUSR1 says that a successor serves the same socket: from then on this process accepts nothing, answers on the
    connections that it has, each for the last time, and stops when all of them are closed or `drain_seconds` are over.

    Args:
        service: what to serve. If it has a `control_port`, the ready line names it; if it has `reads`
            (`front.reads.Reads`), there is a front, which answers them; if it has `is_proxy`, strangers may connect,
            and only addresses for which it is true may have any number of connections, and `forwarded_address` tells
            whose their requests are; if it has `early_answers`, they answer forms before a thread is needed; if it has
            `max_image_bytes`, a larger PUT is refused before its body comes; if it has `ready`
            (`http.readiness.ReadyGate`), `/readyz` is 503 from the stop signal on; if it has `leave`, that is called
            at SIGUSR1, in a thread, and awaited like the connections: others should rely on this process no longer.
        host: the address to bind to.
        port: the port to bind to; 0 means any free one.
        threads: how many requests are handled at a time; further ones wait.
        shared_port: whether several processes of the app divide the port.
        advertise: the host under which other machines reach this one.
        ready_fd: where to write the ready line once requests are answered. It is closed afterwards.
        health_fd: where to write a heartbeat each second once requests are answered.
        listen_fd: a listening socket to serve instead of binding to `host` and `port`. Other processes may hold it,
            too: it is never shut down.
        lifeline_fd: the read end of the supervisor's lifeline.
        grace_seconds: how long requests under way may take after the signal before they are cut off.
        drain_seconds: how long connections are kept once there is a successor.

    Returns:
        The exit code. End the process with `leave`: the threads of cut-off requests would keep it alive.

    Raises:
        PortTaken: the port is taken.
        ElasticImagesError: the service says why it cannot start.
    """
    _allow_many_files()
    _return_large_memory()
    listening = inherited(listen_fd) if listen_fd is not None else bind(host, port, shared=shared_port)
    with StopSignals() as stop, contextlib.closing(listening) as listener:
        bound_port = listener.getsockname()[1]
        bound = Bound(bound_port, f"{reachable_host(advertise or host)}:{bound_port}")
        if lifeline_fd is not None:
            lifeline.watch(lifeline_fd, service.stop)
        service.start(bound)
        gate = Gate(service.wsgi)
        server = _serve(
            gate,
            getattr(service, "reads", None),
            listener,
            threads=threads,
            on_exit=stop.wake,
            is_exempt=getattr(service, "is_proxy", None),
            forwarded_address=getattr(service, "forwarded_address", None),
            early_answers=getattr(service, "early_answers", None),
            limits=Limits(put_bytes=getattr(service, "max_image_bytes", None)),
        )
        if _wait_until_served(host, bound_port, gate, lambda: server.alive and not stop.count):
            if health_fd is not None:
                Heartbeat(health_fd, server.loops).start()
            _tell_ready(ready_fd, service, bound_port)
            _log.info("serving on %s", bound.address)
        while server.alive and not stop.wait():
            pass
        if (ready := getattr(service, "ready", None)) is not None:
            ready.drain()
        if stop.replaced and server.alive:
            _drain(server, gate, stop, drain_seconds, getattr(service, "leave", lambda: None))
        code = 0 if server.alive else 1
        _log.info("stopping")
        if not server.stop(grace_seconds):
            _log.warning("requests still under way after %g s are cut off", grace_seconds)
        _stop_service(service)
        return code


def leave(code: int) -> None:
    """End the process at once, whatever its threads do, after flushing logs and output."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def serving(
    wsgi: WSGIApplication,
    host: str = "127.0.0.1",
    *,
    reads: Reads | None = None,
    threads: int = 16,
    limits: Limits | None = None,
    is_exempt: Callable[[str], bool] | None = lambda _address: False,
    forwarded_address: Callable[[Environ], str] | None = None,
    early_answers: Mapping[bytes, EarlyAnswer] | None = None,
) -> Iterator[Bound]:
    """Serve an app on a free port of this process while the block runs: for tests and tools.

    `limits` and all that follow are those of the front (`front.listener.Front`).
    """
    with contextlib.closing(bind(host, 0)) as listener:
        port = listener.getsockname()[1]
        gate = Gate(wsgi)
        server = _serve(
            gate,
            reads,
            listener,
            threads=threads,
            on_exit=lambda: None,
            is_exempt=is_exempt,
            forwarded_address=forwarded_address,
            early_answers=early_answers,
            limits=limits,
        )
        try:
            _wait_until_served(host, port, gate, lambda: server.alive)
            yield Bound(port, f"{reachable_host(host)}:{port}")
        finally:
            server.stop(GRACE_SECONDS)


def _drain(
    server: GranianWorker | _FrontedWorker, gate: Gate, stop: StopSignals, seconds: float, leave: Callable[[], None]
) -> None:
    """Answer on the connections that are left, until they are closed or a stop signal comes."""
    gate.closing = True
    server.quit_accepting()
    _log.info("replaced; answering on its connections for up to %g s", seconds)
    leaving = threading.Thread(target=leave, name="leave", daemon=True)
    leaving.start()
    deadline = time.monotonic() + seconds
    while server.alive and stop.count == 0 and (left := deadline - time.monotonic()) > 0:
        # First, since a connection may just be being accepted.
        stop.pause(min(0.2, left))
        if server.drained and not leaving.is_alive():
            break


def _serve(
    wsgi: WSGIApplication,
    reads: Reads | None,
    listener: socket.socket,
    *,
    threads: int,
    on_exit: Callable[[], None],
    is_exempt: Callable[[str], bool] | None,
    forwarded_address: Callable[[Environ], str] | None = None,
    early_answers: Mapping[bytes, EarlyAnswer] | None = None,
    limits: Limits | None = None,
) -> GranianWorker | _FrontedWorker:
    limits = limits or Limits()
    work_on = partial(
        GranianWorker,
        threads=threads,
        idle_seconds=limits.idle_seconds,
        max_connections=limits.connections,
        on_exit=on_exit,
    )
    if reads is None or not event_loop.supported():
        return work_on(wsgi, listener)
    from elastic_images.front.listener import Front

    backend_clients = BackendClients()
    with contextlib.closing(bind(LOOPBACK, 0)) as behind:
        port = behind.getsockname()[1]
        worker = work_on(backend_clients.in_front_of(wsgi), behind)
    made = Front(
        socket.socket(fileno=listener.detach()),
        reads,
        port,
        backend_clients,
        threads=threads,
        limits=limits,
        is_exempt=is_exempt,
        forwarded_address=forwarded_address,
        early_answers=early_answers,
        on_exit=on_exit,
    )
    made.start()
    return _FrontedWorker(made, worker)


class _FrontedWorker:
    """Our own listener, and behind it the worker for the requests that it passes on."""

    def __init__(self, front: Front, worker: GranianWorker) -> None:
        self._front = front
        self._worker = worker

    @property
    def loops(self) -> Mapping[str, Callable[[], float]]:
        """See `Heartbeat`."""
        return {"front": lambda: self._front.loop.clock}

    @property
    def alive(self) -> bool:
        """Whether both are serving."""
        return self._front.alive and self._worker.alive

    @property
    def drained(self) -> bool:
        """Whether no connection is left."""
        return self._front.drained

    def quit_accepting(self) -> None:
        """Accept nothing more, and let each connection go on until after its next answer."""
        self._front.quit_accepting()

    def stop(self, grace_seconds: float) -> bool:
        """Stop accepting and wait for the requests under way. True if they ended in time."""
        deadline = time.monotonic() + grace_seconds
        self._front.drain()
        in_time = self._worker.stop(grace_seconds)
        return self._front.stop(max(0.0, deadline - time.monotonic())) and in_time


def _wait_until_served(host: str, port: int, gate: Gate, alive: Callable[[], bool]) -> bool:
    """Wait until a request reaches this process and is answered. False: `alive` is no longer true."""
    while alive():
        connection = http.client.HTTPConnection(reachable_host(host).strip("[]"), port, timeout=1)
        try:
            connection.request("GET", "/healthz", headers={PROBE_HEADER: gate.probe})
            connection.getresponse().read()
            if gate.reached:
                return True
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    return False


def _allow_many_files() -> None:
    """Raise the limit of open files as far as this user may.

    Shells and services mostly start with 1,024, for old programs' sake. A connection takes one descriptor, and
    three while a request of it is passed on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses more than the kernel allows
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _return_large_memory() -> None:
    """Have the memory of large images returned to the system as soon as it is free.

    glibc does so at first, but raises its threshold to the size of what was freed (mallopt(3)), and then keeps it:
    after 100 reads of 24 MB at once 2.1 GB stayed in the heaps of threads.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _RETURNED_BYTES)


def _tell_ready(ready_fd: int | None, service: Service, port: int) -> None:
    if ready_fd is None:
        return
    line = {"port": port, "control_port": getattr(service, "control_port", None)}
    with contextlib.suppress(BrokenPipeError):  # the parent no longer reads
        os.write(ready_fd, json.dumps(line).encode() + b"\n")
    os.close(ready_fd)


def _stop_service(service: Service) -> None:
    def stop() -> None:
        try:
            service.stop()
        except Exception:  # noqa: BLE001  (the process ends anyway)
            _log.exception("the service did not stop cleanly")

    helper = threading.Thread(target=stop, name="service-stop", daemon=True)
    helper.start()
    helper.join(_SERVICE_STOP_SECONDS)
    if helper.is_alive():
        _log.warning("the service did not stop within %g s", _SERVICE_STOP_SECONDS)
