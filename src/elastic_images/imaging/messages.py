"""Messages between a client, the broker, the template and its workers: a line of JSON, and descriptors beside it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_READ_BYTES = 65_536
_MAX_DESCRIPTORS = 4
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Message:
    """What was received. Whoever takes it closes its descriptors."""

    fields: Mapping[str, Any]
    descriptors: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close the descriptors that are left."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class Channel:
    """One end of a connection. For one thread. A message begins with the number of its descriptors, as one digit."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""
        self._descriptors: list[int] = []

    def fileno(self) -> int:
        """For select."""
        return self.connection.fileno()

    def send(self, fields: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message. The receiver gets descriptors of its own. Raises OSError."""
        line = f"{len(descriptors)}{json.dumps(fields)}\n".encode()
        if descriptors:
            socket.send_fds(self.connection, [line], descriptors)
        else:
            self.connection.sendall(line)

    def receive(self) -> Message | None:
        """The next message; None if the other end is closed.

        Raises:
            OSError: also where the connection has a timeout, or does not block, and nothing has arrived.
            ValueError: it is no message.
        """
        while b"\n" not in self._received:
            read, descriptors, _, _ = socket.recv_fds(self.connection, _READ_BYTES, _MAX_DESCRIPTORS, _CLOSE_ON_EXEC)
            self._descriptors += descriptors
            if not read:
                return None
            self._received += read
        line, _, self._received = self._received.partition(b"\n")
        count = int(line[:1])
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return Message(json.loads(line[1:]), taken)

    def close(self) -> None:
        """Close the connection, and descriptors that came with no whole message."""
        self.connection.close()
        while self._descriptors:
            os.close(self._descriptors.pop())
