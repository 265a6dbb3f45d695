"""The supervisor's end of a process's heartbeat (`process.heartbeat`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

_READ_BYTES = 65_536


class Heartbeats:
    """A pipe that a process writes its heartbeat to. Close the writer once the process has inherited it."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._rest = b""

    def newest(self) -> Mapping[str, float] | None:
        """The newest heartbeat since the last call, as seconds since each loop's last turn. None if there is none."""
        try:
            read = os.read(self._reader, _READ_BYTES)
        except BlockingIOError:
            return None
        *lines, self._rest = (self._rest + read).split(b"\n")
        return {str(name): float(age) for name, age in json.loads(lines[-1]).items()} if lines else None

    def close(self) -> None:
        """Close the reader."""
        os.close(self._reader)
