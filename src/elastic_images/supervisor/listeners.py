"""The listening sockets of the apps. They outlive the processes that serve them, so no connection is ever refused.

A connection made while its process is down waits for the next one in the socket's queue.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from elastic_images.process.ports import bind
from elastic_images.process.unix_sockets import listen
from elastic_images.settings import Settings
from elastic_images.settings.addresses import imaging_socket
from elastic_images.supervisor.processes import Wanted


class Listeners:
    """One socket per wanted process, in their order; the processes of an app share its port."""

    def __init__(self, settings: Settings, wanted: Sequence[Wanted]) -> None:
        """Listens at once. Raises PortTaken or InvalidRequest as `process.ports.bind`."""
        self._sockets: list[socket.socket] = []
        with ExitStack() as stack:
            stack.callback(self.close)
            apps = [process.app for process in wanted]
            for app in apps:
                if app == "imaging":
                    self._sockets.append(listen(imaging_socket(settings.data)))
                    continue
                host = settings.host if app in ("web", "manager") else settings.internal_host
                self._sockets.append(bind(host, settings.port(app), shared=apps.count(app) > 1))
            stack.pop_all()

    @property
    def descriptors(self) -> list[int]:
        """The descriptors that processes inherit."""
        return [listener.fileno() for listener in self._sockets]

    def close(self) -> None:
        """Refuse connections once the processes have closed their copies, too."""
        for listener in self._sockets:
            listener.close()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
