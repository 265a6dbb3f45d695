"""Granian's WSGI worker, on threads of this process. The only module that knows Granian.

Without a master beside it there is one process per app, which a kill really ends. Granian runs workers this way on
free-threaded Python (`MTServer`). Nothing in the worker needs that, and it is as fast as one in a process of its own.

Internals of Granian 2.8 that this relies on, checked by tests/unit/process/test_granian_worker.py:

- `_granian.SocketHolder(fd, is_unix_socket, backlog)`: a listener made from a descriptor, closed when the worker ends;
- `MTServer._shd`: the listener that workers get; `MTServer.websockets`: `serve` would clear it for WSGI;
- `MTServer._spawn_worker(index, target, callback)` with `MTServer._spawn_wsgi_worker` as the target: a `WorkerThread`
  that is not started yet, and for which no other set-up by `serve` is needed;
- the worker accepts from that very descriptor, so another socket put in its place ends accepting, and nothing else;
- `WorkerThread.inner`: its `threading.Thread`; `WorkerThread.terminate()`: stops accepting and ends that thread when
  the requests under way have ended.

`MTServer.serve` itself insists on free-threaded Python, and brings signal handlers and a respawning loop.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elastic_images.process.listening import BACKLOG
from elastic_images.process.ports import bind

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


_DESCRIPTORS = Path("/proc/self/fd")


class GranianWorker:
    """Serves an app on a listening socket, which becomes the worker's. It starts at once."""

    def __init__(
        self,
        wsgi: WSGIApplication,
        listener: socket.socket,
        *,
        threads: int,
        idle_seconds: float,
        max_connections: int,
        on_exit: Callable[[], None],
    ) -> None:
        """`on_exit` is called when the worker has ended, for whatever reason."""
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._port = listener.getsockname()[1]
        self._descriptor = listener.detach()
        self._worker = _worker_thread(wsgi, self._descriptor, threads, idle_seconds, max_connections)
        self._worker.inner.start()
        self._on_exit = on_exit
        threading.Thread(target=self._watch, name="server-watch", daemon=True).start()

    @property
    def loops(self) -> Mapping[str, Callable[[], float]]:
        """See `Heartbeat`: none, since Granian does not tell."""
        return {}

    @property
    def alive(self) -> bool:
        """Whether it is serving; false once it has ended, by itself or by `stop`."""
        return bool(self._worker.inner.is_alive())

    @property
    def drained(self) -> bool:
        """Whether no connection is left, if the system tells (Linux does). Call it after `quit_accepting`."""
        return _DESCRIPTORS.exists() and not _has_connections(self._port)

    def quit_accepting(self) -> None:
        """Accept nothing more. Its connections go on, and new ones wait for other holders of the listening socket.

        Nobody knows the socket that takes its place. Closing the descriptor would not do: epoll goes on
        reporting a socket that other processes hold.
        """
        with bind("127.0.0.1", 0) as unknown:
            unknown.setblocking(False)  # noqa: FBT003 - as above
            os.dup2(unknown.fileno(), self._descriptor, inheritable=False)

    def stop(self, grace_seconds: float) -> bool:
        """Stop accepting and wait for the requests under way. True if they ended in time."""
        self._worker.terminate()
        self._worker.inner.join(grace_seconds)
        return not self.alive

    def _watch(self) -> None:
        self._worker.inner.join()
        self._on_exit()


def _has_connections(port: int) -> bool:
    """Whether this process has a connection to its `port`. Granian does not tell, but its descriptors are ours."""
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError), socket.fromfd(int(descriptor.name), socket.AF_INET, 0) as one:
            one.getpeername()  # fails unless it is connected
            if one.getsockname()[1:2] == (port,):
                return True
    return False


def _worker_thread(
    wsgi: WSGIApplication, descriptor: int, threads: int, idle_seconds: float, max_connections: int
) -> Any:
    # Imported here: only processes that serve pay for Granian.
    from granian._granian import SocketHolder
    from granian.constants import HTTPModes, Interfaces, RuntimeModes
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server import MTServer

    quiet = {"version": 1, "incremental": True, "handlers": {}, "loggers": {}}
    server: Any = MTServer(
        "service",
        interface=Interfaces.WSGI,
        runtime_mode=RuntimeModes.mt,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(idle_seconds * 1000)),  # runs on idle connections, too
        blocking_threads=threads,
        backpressure=max_connections,  # bounds open connections, idle ones included; `threads` bounds the work
        log_level=LogLevels.warning,
        log_dictconfig=quiet,  # our root logger writes its messages
    )
    server.websockets = False
    holder: Any = SocketHolder
    server._shd = holder(descriptor, False, BACKLOG)  # noqa: FBT003, SLF001
    worker: Any = server._spawn_worker(0, server._spawn_wsgi_worker, wsgi)  # noqa: SLF001
    worker.inner.daemon = True
    return worker
