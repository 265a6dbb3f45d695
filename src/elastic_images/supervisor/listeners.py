"""The listening sockets of the apps. They outlive the processes that serve them, so no connection is ever refused.

While a process waits to be restarted, its siblings get the new connections. While it starts, without a sibling, or
where the system cannot steer connections (Linux can), they wait in the socket's queue, as those do that came before.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from array import array
from collections.abc import Sequence
from contextlib import ExitStack

from elastic_images.process.ports import bind
from elastic_images.process.unix_sockets import listen
from elastic_images.settings import Settings
from elastic_images.settings.addresses import imaging_socket
from elastic_images.supervisor.processes import Wanted

_ATTACH, _DETACH = 51, 68
"""SO_ATTACH_REUSEPORT_CBPF and SO_DETACH_REUSEPORT_BPF of Linux (socket(7))."""
_LOAD, _MODULO, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
"""Opcodes of classic BPF."""
_RANDOM = 0xFFFFF000 + 56
"""Where such a program finds a random number."""


class Listeners:
    """One socket per wanted process, in their order; the processes of an app share its port."""

    def __init__(self, settings: Settings, wanted: Sequence[Wanted]) -> None:
        """Listens at once. Raises PortTaken or InvalidRequest as `process.ports.bind`."""
        self._sockets: list[socket.socket] = []
        self._apps = [process.app for process in wanted]
        self._running: list[bool] = []
        with ExitStack() as stack:
            stack.callback(self.close)
            for app in self._apps:
                if app == "imaging":
                    self._sockets.append(listen(imaging_socket(settings.data)))
                    continue
                host = settings.host if app in ("web", "manager") else settings.internal_host
                self._sockets.append(bind(host, settings.port(app), shared=self._apps.count(app) > 1))
            stack.pop_all()

    @property
    def descriptors(self) -> list[int]:
        """The descriptors that processes inherit."""
        return [listener.fileno() for listener in self._sockets]

    def steer(self, running: Sequence[bool]) -> None:
        """Give new connections of each app to the processes that run, if there are some. In the order of `wanted`."""
        if list(running) == self._running:
            return
        self._running = list(running)
        for app in set(self._apps):
            group = [place for place, name in enumerate(self._apps) if name == app]
            # The kernel numbers the sockets of a port in the order in which they began to listen.
            up = [number for number, place in enumerate(group) if running[place]]
            if len(group) > 1:
                _prefer(self._sockets[group[0]], up if len(up) < len(group) else [])

    def close(self) -> None:
        """Refuse connections once the processes have closed their copies, too."""
        for listener in self._sockets:
            listener.close()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _prefer(listener: socket.socket, numbers: Sequence[int]) -> None:
    """Let the kernel choose among these sockets of a shared port; of all if there are none."""
    with contextlib.suppress(OSError):  # it cannot, or has nothing to forget
        if not numbers:
            listener.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            return
        program = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(numbers))]
        for turn, number in enumerate(numbers):
            program += [(_JUMP_IF_EQUAL, 0, 1, turn), (_RETURN, 0, 0, number)]
        program.append((_RETURN, 0, 0, numbers[0]))
        code = array("B", b"".join(struct.pack("HBBI", *step) for step in program))
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", len(program), code.buffer_info()[0]))
