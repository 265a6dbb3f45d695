"""Asks the machine's broker to inspect images and to make renditions."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError, EmptyBody, Unavailable
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.imaging import Body, Picture, Priority, Rendition
from elastic_images.imaging.memory_files import contents, shared
from elastic_images.imaging.messages import Channel, Message
from elastic_images.process.unix_sockets import address_of

_ASK_SECONDS = 0.25
"""How often a waiting caller is asked whether the outcome is still wanted."""
_PATIENCE_SECONDS = 2.0
"""How much longer than the deadline the broker's own word on it is waited for."""
_CONNECT_SECONDS = 5.0
_ATTEMPTS = 3
"""A kept connection may be one of a broker that has been replaced since, and the broker may be killed."""
_ERRORS = {
    kind.slug: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ElasticImagesError)
}


class ImagingClient:
    """`Imaging` by a broker. Keeps connections; each serves one job at a time."""

    def __init__(self, path: Path) -> None:
        """`path`: the broker's socket."""
        self._path = path
        self._lock = threading.Lock()
        self._kept: list[Channel] = []
        self._closed = False

    def inspect(
        self, body: Body, *, deadline: float, gone: Callable[[], bool] | None = None, name: str = "", client: str = ""
    ) -> Picture:
        """See `Imaging`."""
        asked = {"kind": "inspect", "priority": Priority.UPLOAD, "name": name, "client": client}
        message = self._work(asked, body, deadline, gone)
        try:
            return Picture(**message.fields["picture"])
        except (KeyError, TypeError) as error:
            raise Unavailable("The process that decoded this image failed; try again.") from error
        finally:
            message.close()

    def render(self, original: Body, spec: RenditionSpec, *, priority: Priority, deadline: float) -> Rendition:
        """See `Imaging`."""
        asked = {"kind": "render", "priority": priority, "spec": spec.canonical}
        message = self._work(asked, original, deadline, None)
        try:
            return Rendition(contents(message.descriptors[0]), **message.fields["rendition"])
        except (OSError, IndexError, KeyError, TypeError) as error:
            raise Unavailable("The process that made this rendition failed; try again.") from error
        finally:
            message.close()

    def give_up(self, name: str) -> None:
        """See `Imaging`."""
        self._ask({"kind": "give_up", "name": name}, [], time.monotonic() + 1.0, 0.0, None)

    def figures(self, seconds: float = 1.0) -> Mapping[str, Any]:
        """What the broker counts (`Broker.figures`). Raises Unavailable if it does not answer in time."""
        found: Mapping[str, Any] = self._ask({"kind": "figures"}, [], time.monotonic() + seconds, 0.0, None).fields
        return found["figures"]  # type: ignore[no-any-return]  # JSON

    def close(self) -> None:
        """Close the kept connections. Those in use close when their job ends."""
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, []
        for channel in kept:
            channel.close()

    def _work(self, asked: Mapping[str, Any], body: Body, deadline: float, gone: Callable[[], bool] | None) -> Message:
        if not (len(body) if isinstance(body, bytes) else os.fstat(body).st_size):
            raise EmptyBody("The upload is empty.")
        with shared(body) as descriptor:
            message = self._ask(asked, [descriptor], deadline, _PATIENCE_SECONDS, gone)
        if (slug := message.fields.get("error")) is not None:
            message.close()
            kind = _ERRORS.get(slug, ElasticImagesError)
            raise kind(message.fields["message"], retry_after_seconds=message.fields.get("retry_after"))
        return message

    def _ask(
        self,
        asked: Mapping[str, Any],
        descriptors: list[int],
        deadline: float,
        patience: float,
        gone: Callable[[], bool] | None,
    ) -> Message:
        for attempt in range(_ATTEMPTS):
            channel = self._connected(kept=attempt == 0)
            try:
                channel.send({**asked, "seconds": max(0.0, deadline - time.monotonic())}, descriptors)
                message = _wait(channel, deadline + patience, gone)
            except (ConnectionError, ValueError):
                message = None
            except BaseException:
                channel.close()  # which ends the job
                raise
            if message is not None:
                self._keep(channel)
                return message
            channel.close()
        raise Unavailable("The imaging process ended while it worked; try again.")

    def _connected(self, *, kept: bool) -> Channel:
        if kept:
            with self._lock:
                if self._kept:
                    return self._kept.pop()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_CONNECT_SECONDS)
        try:
            with address_of(self._path) as address:
                connection.connect(address)
        except OSError as error:
            connection.close()
            raise Unavailable(f"Imaging does not respond: {error.strerror}.", retry_after_seconds=2) from error
        return Channel(connection)

    def _keep(self, channel: Channel) -> None:
        with self._lock:
            if not self._closed:
                self._kept.append(channel)
                return
        channel.close()


def _wait(channel: Channel, deadline: float, gone: Callable[[], bool] | None) -> Message | None:
    """The answer; None if the broker is gone."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unavailable("Imaging does not respond in time; try again later.", retry_after_seconds=2)
        channel.connection.settimeout(left if gone is None else min(left, _ASK_SECONDS))
        try:
            return channel.receive()
        except TimeoutError:
            if gone is not None and gone():
                raise Unavailable("Nobody waits for this image any more.") from None
