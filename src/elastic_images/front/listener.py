"""The front itself: accepts connections, and owns what they share."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from elastic_images.front.connect import begin_connect
from elastic_images.front.connection import Connection
from elastic_images.front.event_loop import EventLoop
from elastic_images.front.heads import Heads
from elastic_images.front.reads import Reads
from elastic_images.front.tunnel import Tunnel
from elastic_images.front.tunnel_clients import LOOPBACK, TunnelClients
from elastic_images.front.upstream import Upstreams
from elastic_images.http.answer import Answer, Later
from elastic_images.http.problems import problem_answer, public_error

_ACCEPTED_AT_ONCE = 64
_PAUSE_SECONDS = 0.2
SLOW_THREADS = 64
"""How many slow reads may wait at a time. Further ones wait in line, without a thread."""
_log = logging.getLogger(__name__)


class Front:
    """Answers reads of images on a listening socket, and tunnels every other connection to the backend.

    `start`, `quit_accepting`, `drain` and `stop` may be called from any thread, once each and in this order.
    """

    def __init__(
        self,
        listener: socket.socket,
        reads: Reads,
        backend_port: int,
        tunnel_clients: TunnelClients,
        *,
        threads: int,
        idle_seconds: float,
        max_connections: int = 8192,
        on_exit: Callable[[], None] = lambda: None,
    ) -> None:
        """The socket becomes the front's. `threads` is how many reads may block at a time; further ones queue.

        `on_exit` is called when its thread has ended, for whatever reason.
        """
        self._listener = listener
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._backend_port = backend_port
        self._tunnel_clients = tunnel_clients
        self._idle_seconds = idle_seconds
        self._max_connections = max_connections
        self._on_exit = on_exit
        self.loop = EventLoop()
        self.reads = reads
        self.heads = Heads(reads)
        self.draining = False
        self._closes_idle = False
        self._connections: set[Connection] = set()
        self._tunnels: set[Tunnel] = set()
        self._upstreams = Upstreams(self.loop)
        self.ask_upstream = self._upstreams.ask
        self._workers = ThreadPoolExecutor(threads, "front-read")
        self._slow_workers = ThreadPoolExecutor(SLOW_THREADS, "front-slow")
        self._accepting = False
        self._pause_until = 0.0
        self._drained = threading.Event()
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)

    def start(self) -> None:
        """Start accepting."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it is serving."""
        return self._thread.is_alive()

    @property
    def drained(self) -> bool:
        """Whether it accepts nothing more and no connection is left."""
        return self._drained.is_set()

    def quit_accepting(self) -> None:
        """Stop accepting, and close each connection after its next answer. Idle ones stay open until `drain`."""
        self.loop.post(self._quit_accepting)

    def drain(self) -> None:
        """Stop accepting, finish the requests under way, and close each connection after its last one."""
        self.loop.post(self._drain)

    def stop(self, seconds: float) -> bool:
        """Wait up to `seconds` for the requests under way, then end. True if all of them ended in time."""
        in_time = self._drained.wait(seconds)
        self.loop.post(self.loop.end)
        self._thread.join()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._slow_workers.shutdown(wait=False, cancel_futures=True)
        return in_time

    # --- connection.FrontContext

    def run_in_thread(self, find: Callable[[], Answer | Later], done: Callable[[Answer], None]) -> None:
        """See `connection.FrontContext`."""

        def run(find: Callable[[], Answer | Later]) -> None:
            try:
                answer = find()
            except Exception as error:  # noqa: BLE001 - logged, and the client gets an answer
                answer = problem_answer(public_error(error, uuid.uuid4().hex))
            if isinstance(answer, Answer):
                self.loop.post(partial(done, answer))
            else:
                with contextlib.suppress(RuntimeError):  # it is stopping
                    self._slow_workers.submit(run, answer)

        self._workers.submit(run, find)

    def open_tunnel(self, client: socket.socket, address: str, start: bytes) -> None:
        """See `connection.FrontContext`."""
        source = self._tunnel_clients.add(address)
        try:
            backend = begin_connect((LOOPBACK, self._backend_port), source)
        except OSError as error:
            _log.warning("a connection could not be tunnelled: %s", error.strerror)
            self._tunnel_clients.remove(source)
            client.close()
            return
        tunnel = Tunnel(self.loop, client, backend, start, partial(self._tunnel_closed, source))
        if tunnel.open:
            self._tunnels.add(tunnel)

    def connection_left(self, connection: Connection) -> None:
        """See `connection.FrontContext`."""
        self._connections.discard(connection)

    def _tunnel_closed(self, source: str, tunnel: Tunnel) -> None:
        self._tunnel_clients.remove(source)
        self._tunnels.discard(tunnel)

    # --- accepting

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        for _ in range(_ACCEPTED_AT_ONCE):
            if len(self._connections) + len(self._tunnels) >= self._max_connections:
                self._pause()
                return
            try:
                client, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    _log.warning("accepting failed: %s", error.strerror)
                    self._pause()
                return
            client.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self._connections.add(Connection(self, client, address[0]))

    def abort(self) -> None:
        """See `event_loop.Watched`."""
        self._pause()

    def _accept(self) -> None:
        self._accepting = True
        self.loop.watch(self._listener.fileno(), self)

    def _pause(self) -> None:
        self._accepting = False
        self._pause_until = self.loop.clock + _PAUSE_SECONDS
        self.loop.forget(self._listener.fileno())

    # --- the thread

    def _run(self) -> None:
        self._accept()
        self.loop.on_tick(self._check)
        try:
            self.loop.run()
        finally:
            self._close_listener()
            for connection in list(self._connections):
                connection.abort()
            for tunnel in list(self._tunnels):
                tunnel.close()
            self._upstreams.close()
            self.loop.close()
            self._on_exit()

    def _check(self) -> None:
        for tunnel in list(self._tunnels):
            tunnel.check()
        for connection in list(self._connections):
            if connection.is_late(self._idle_seconds, draining=self._closes_idle):
                connection.end()
        if self.draining:
            if not self._connections and not self._tunnels:
                self._drained.set()
        elif not self._accepting and self.loop.clock >= self._pause_until:
            self._accept()

    def _quit_accepting(self) -> None:
        self.draining = True
        self._close_listener()

    def _drain(self) -> None:
        self._quit_accepting()
        self._closes_idle = True
        for connection in self._connections:
            connection.since = self.loop.clock  # its time to finish starts now

    def _close_listener(self) -> None:
        if self._listener.fileno() >= 0:
            self.loop.forget(self._listener.fileno())
            self._listener.close()
