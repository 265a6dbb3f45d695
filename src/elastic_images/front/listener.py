"""The front itself: accepts connections, and owns what they share."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import attrgetter

from elastic_images.front.admission import Admission, EarlyAnswer
from elastic_images.front.backend import Backend, BackendOwner
from elastic_images.front.backend_clients import LOOPBACK, BackendClients
from elastic_images.front.connect import begin_connect
from elastic_images.front.connection import Connection
from elastic_images.front.event_loop import TICK_SECONDS, EventLoop
from elastic_images.front.heads import Heads
from elastic_images.front.held import HeldAnswers
from elastic_images.front.limits import Limits
from elastic_images.front.places import client_of, to_close
from elastic_images.front.reads import Environ, Find, Reads
from elastic_images.front.upstream import Upstreams
from elastic_images.http.answer import Answer, Later
from elastic_images.http.problems import problem_answer, public_error

_ACCEPTED_AT_ONCE = 16
_CHECKED_AT_ONCE = 1024
_CLOSED_AT_ONCE = 32
_PAUSE_SECONDS = 0.2
SLOW_THREADS, URGENT_THREADS = 48, 16
"""How many slow reads may wait at a time, and how many urgent ones. Further ones wait in line, without a thread."""
_TOLD_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Front:
    """Answers reads of images on a listening socket, and passes every other request on to the backend.

    `start`, `quit_accepting`, `drain` and `stop` may be called from any thread, once each and in this order.
    """

    def __init__(
        self,
        listener: socket.socket,
        reads: Reads,
        backend_port: int,
        backend_clients: BackendClients,
        *,
        threads: int,
        limits: Limits | None = None,
        is_exempt: Callable[[str], bool] | None = None,
        forwarded_address: Callable[[Environ], str] | None = None,
        early_answers: Mapping[bytes, EarlyAnswer] | None = None,
        on_exit: Callable[[], None] = lambda: None,
    ) -> None:
        """The socket becomes the front's. `threads` is how many reads may block at a time; further ones queue.

        `is_exempt`: whether a client with this address may have any number of connections. None: all clients are
        processes of ours, which are never cut off for being many or slow.
        `forwarded_address`: the address of the client of a request that comes from such an address.
        `early_answers`: for forms that are sent to these paths.
        `on_exit` is called when its thread has ended, for whatever reason.
        """
        self._listener = listener
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._backend_port = backend_port
        self._backend_clients = backend_clients
        self.limits = limits or Limits()
        self._is_exempt = is_exempt or (lambda _address: True)
        self._on_exit = on_exit
        self.loop = EventLoop()
        self.reads = reads
        self.heads = Heads(reads)
        self.admission = Admission(self.limits, reads.prefixes, forwarded_address, early_answers)
        self.draining = False
        self._closes_idle = False
        self._connections: set[Connection] = set()
        self._clients: Counter[str | None] = Counter()
        """How many connections each client has, by `places.client_of`; those that may have any number are None."""
        self._early = deque[tuple[float, Callable[[], None]]]()
        """When to send which early answers."""
        self._unchecked: list[Connection] = []
        self._leaving: list[Connection] = []
        self._round_began_at = self._round_seconds = 0.0
        self._input_bytes = 0
        self._closed_idle = self._told = 0
        self._told_at = 0.0
        self.held = HeldAnswers(self.loop, self.limits.slow_bytes if is_exempt else None)
        self._upstreams = Upstreams(self.loop, self.held, arriving_bytes=self.limits.arriving_bytes)
        self.ask_upstream = self._upstreams.ask
        self._workers = ThreadPoolExecutor(threads, "front-read")
        self._slow_workers = ThreadPoolExecutor(SLOW_THREADS, "front-slow")
        self._urgent_workers = ThreadPoolExecutor(URGENT_THREADS, "front-urgent")
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
        self._urgent_workers.shutdown(wait=False, cancel_futures=True)
        return in_time

    # --- connection.FrontContext

    def run_in_thread(self, find: Find, done: Callable[[Answer | None], None]) -> None:
        """See `connection.FrontContext`."""

        def run(find: Find) -> None:
            try:
                answer = find()
            except Exception as error:  # noqa: BLE001 - logged, and the client gets an answer
                answer = problem_answer(public_error(error, uuid.uuid4().hex))
            if not isinstance(answer, Later):
                self.loop.post(partial(done, answer))
            else:
                workers = self._urgent_workers if answer.urgent else self._slow_workers
                with contextlib.suppress(RuntimeError):  # it is stopping
                    workers.submit(run, answer.find)

        self._workers.submit(run, find)

    def open_backend(self, address: str, owner: BackendOwner) -> Backend | None:
        """See `connection.FrontContext`."""
        source = self._backend_clients.add(address)
        try:
            connection = begin_connect((LOOPBACK, self._backend_port), source)
        except OSError as error:
            _log.warning("a request could not be passed on: %s", error.strerror)
            self._backend_clients.remove(source)
            return None
        return Backend(
            self.loop,
            connection,
            owner,
            partial(self._backend_clients.leave, source),
            partial(self._backend_clients.remove, source),
        )

    def answer_early(self, answer: Callable[[], None]) -> None:
        """See `connection.FrontContext`."""
        if len(self._early) < self.limits.early_answers:
            self._early.append((self.loop.clock + self.limits.early_answer_seconds, answer))
        else:
            answer()

    def input_grew(self, by_bytes: int) -> None:
        """See `connection.FrontContext`."""
        self._input_bytes += by_bytes
        if self._input_bytes > self.limits.input_bytes:
            self._bound_input()

    def connection_left(self, connection: Connection) -> None:
        """See `connection.FrontContext`."""
        self._connections.discard(connection)
        self._clients[connection.client] -= 1
        if not self._clients[connection.client]:
            del self._clients[connection.client]

    # --- accepting

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        for _ in range(_ACCEPTED_AT_ONCE):
            if len(self._connections) >= self.limits.connections:
                self._pause()
                return
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    _log.warning("accepting failed: %s", error.strerror)
                    self._pause()
                return
            connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
            client = None if self._is_exempt(address[0]) else client_of(address[0])
            self._connections.add(Connection(self, connection, address[0], client))
            self._clients[client] += 1

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
            self._upstreams.close()
            self.loop.close()
            self._on_exit()

    def _check(self) -> None:
        while self._early and self._early[0][0] <= self.loop.clock:
            self.loop.in_next_turn(self._early.popleft()[1])
        if not self._unchecked:
            self._begin_round()
        # Not thousands at once: the others would wait.
        for _ in range(min(len(self._unchecked), _CHECKED_AT_ONCE)):
            self._unchecked.pop().check(self._round_seconds, draining=self._closes_idle)
        if len(self._connections) >= self.limits.connections:
            self._free_places()
        self._tell()
        if self.draining:
            if not self._connections:
                self._drained.set()
        elif not self._accepting and self.loop.clock >= self._pause_until:
            self._accept()

    def _begin_round(self) -> None:
        clock, self._unchecked = self.loop.clock, list(self._connections)
        # No longer than the clients had a chance: this process may have been stopped or starved.
        usual = TICK_SECONDS * (1 + len(self._unchecked) // _CHECKED_AT_ONCE)
        self._round_seconds, self._round_began_at = min(clock - self._round_began_at, 2 * usual), clock
        self._bound_input()
        self._free_places()

    def _bound_input(self) -> None:
        """Count what is held of requests, and give up some if it is too much.

        First those of clients that have many, then those that take longest to come.
        """
        self._input_bytes = sum(connection.input_bytes for connection in self._connections)
        if self._input_bytes <= self.limits.input_bytes:
            return
        first = attrgetter("waits_for_place", "waited_seconds", "input_bytes")
        for connection in sorted(self._connections, key=first, reverse=True):
            if self._input_bytes <= self.limits.input_bytes * 3 // 4:
                return
            self._input_bytes -= connection.input_bytes
            connection.make_room()

    def _free_places(self) -> None:
        if len(self._connections) < self.limits.connections // 2 or self._leaving:
            return
        idle = sorted((one for one in self._connections if one.is_idle), key=attrgetter("since"))
        self._leaving = to_close(idle, self._clients, self.limits)
        self._close_some()

    def _close_some(self) -> None:
        """Close those that have to leave, in turns with everything else: thousands at once would take too long."""
        now, self._leaving = self._leaving[:_CLOSED_AT_ONCE], self._leaving[_CLOSED_AT_ONCE:]
        for connection in now:
            if connection.is_idle:
                self._closed_idle += 1
                connection.abort()
        if self._leaving:
            self.loop.in_next_turn(self._close_some)

    def _tell(self) -> None:
        """Log what the limits did, now and then."""
        cut_off = self._closed_idle + self.held.cut_off + self.admission.refused + self.admission.answered
        if cut_off > self._told and self.loop.clock - self._told_at > _TOLD_SECONDS:
            _log.warning(
                "since the start %d idle connections and %d slow readers were cut off, %d requests of busy clients "
                "were refused and %d logins refused again; %d connections are open",
                self._closed_idle,
                self.held.cut_off,
                self.admission.refused,
                self.admission.answered,
                len(self._connections),
            )
            self._told, self._told_at = cut_off, self.loop.clock

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
