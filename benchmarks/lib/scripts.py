"""Lua scripts for wrk, written into a folder of the run.

Requests are made ready before the load begins: while it runs, a request costs wrk one look-up in a table. Headers are
in the script and not among wrk's arguments, because other users can read arguments, and one header is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nBENCHMARK {"requests": %d, "microseconds": %d, "bytes": %d, "p50_microseconds": %d, "p99_microseconds": %d, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
"""

_ROUND = """
local requests, count, place = {}, 0, 0
function init(args)
  for path in io.lines(%(paths)s) do
    count = count + 1
    requests[count] = wrk.format("GET", path)
  end
end
function request()
  place = place %% count + 1
  return requests[place]
end
"""

_CALLERS = """
local requests, count, place = {}, 0, 0
function init(args)
  for value in io.lines(%(values)s) do
    count = count + 1
    requests[count] = wrk.format("GET", nil, {[%(name)s] = value})
  end
end
function request()
  place = place %% count + 1
  return requests[place]
end
"""

_UPLOAD = """
local bodies, count, number = {}, 0, 0
function init(args)
  for path in io.lines(%(paths)s) do
    local file = assert(io.open(path, "rb"))
    count = count + 1
    bodies[count] = file:read("*a")
    file:close()
  end
end
function request()
  number = number + 1
  return wrk.format("PUT", %(prefix)s .. number, nil, bodies[number %% count + 1])
end
"""


class Scripts:
    """Writes scripts into `folder`, which only this user can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def one(self, headers: Mapping[str, str]) -> Path:
        """Ask for the one path in wrk's URL."""
        return self._write(_headers(headers) + _DONE)

    def in_turn(self, paths: Sequence[str], headers: Mapping[str, str]) -> Path:
        """Ask for `paths` one after the other, and from the beginning again."""
        listed = self._list(paths)
        return self._write(_headers(headers) + _ROUND % {"paths": quoted(str(listed))} + _DONE)

    def callers(self, header: str, values: Sequence[str]) -> Path:
        """Ask for the path in wrk's URL with each value of the header in turn."""
        listed = self._list(values)
        return self._write(_CALLERS % {"values": quoted(str(listed)), "name": quoted(header)} + _DONE)

    def uploads(self, prefix: str, bodies: Sequence[Path], headers: Mapping[str, str]) -> Path:
        """PUT the files' bytes in turn, each under a new path: `prefix` and a number."""
        listed = self._list([str(path) for path in bodies])
        text = _UPLOAD % {"paths": quoted(str(listed)), "prefix": quoted(prefix)}
        return self._write(_headers(headers) + text + _DONE)

    def _list(self, lines: Sequence[str]) -> Path:
        # A file, because a Lua function may have 65,536 constants and no more.
        path = self._next(".txt")
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def _write(self, text: str) -> Path:
        path = self._next(".lua")
        path.write_text(text)
        return path

    def _next(self, suffix: str) -> Path:
        self._count += 1
        return self._folder / f"{self._count:04d}{suffix}"


def quoted(text: str) -> str:
    """A string literal of Lua. ASCII without control characters only: JSON's and Lua's literals agree there."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"not plain ASCII: {text!r}")
    return json.dumps(text)


def _headers(headers: Mapping[str, str]) -> str:
    return "".join(f"wrk.headers[{quoted(name)}] = {quoted(value)}\n" for name, value in headers.items())
