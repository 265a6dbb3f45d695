"""One managed process: how it starts, when it is ready, whether it hangs, when it may be restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from elastic_images.supervisor.hangs import HangDetector
from elastic_images.supervisor.heartbeats import Heartbeats

STEADY_SECONDS = 10.0
"""A process that ran for this long is restarted without delay when it dies."""
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 10.0


def restart_delay_seconds(deaths: int) -> float:
    """The delay before a restart after this many deaths in a row: none at first, then doubling to 10 s."""
    if deaths <= 1:
        return 0.0
    return float(min(_FIRST_DELAY_SECONDS * 2 ** (deaths - 2), _LONGEST_DELAY_SECONDS))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A process that should run."""

    name: str
    """For people: `web`, or `web 2` if there are several."""
    app: str
    command: Sequence[str]
    """The command line, without the descriptors to pass on. Secrets are in the environment, not here."""


class Managed:
    """A wanted process and its current state. Use it in one thread only."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        environ: Mapping[str, str],
        lifeline: int,
        clock: Callable[[], float],
        hang_seconds: float = 0.0,
        listen_fd: int | None = None,
    ) -> None:
        """`hang_seconds`: see `HangDetector`. `listen_fd`: the socket that the process and its successors serve."""
        self.wanted = wanted
        self.ready = False
        self.killed_as_hung = False
        self._hang_seconds = hang_seconds
        self._hangs = HangDetector(hang_seconds)
        self._heartbeats: Heartbeats | None = None
        self._environ = environ
        self._lifeline = lifeline
        self._listen_fd = listen_fd
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_fd: int | None = None
        self._started_at = 0.0
        self._deaths = 0
        self._next_start_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process id; None while it is not running."""
        return self._process.pid if self._process is not None else None

    @property
    def ready_fd(self) -> int | None:
        """Readable once it is ready or gone; None if there is nothing to wait for."""
        return self._ready_fd

    @property
    def next_start_at(self) -> float:
        """When it may be restarted, by the clock."""
        return self._next_start_at

    @property
    def running_seconds(self) -> float:
        """How long ago it was last started."""
        return self._clock() - self._started_at

    def successor(self) -> Managed:
        """The same process anew, not started; it will serve the same socket."""
        return Managed(
            self.wanted,
            environ=self._environ,
            lifeline=self._lifeline,
            clock=self._clock,
            hang_seconds=self._hang_seconds,
            listen_fd=self._listen_fd,
        )

    def start(self) -> None:
        """Start it in its own session, so Ctrl-C in the terminal reaches only the supervisor."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        heartbeats = Heartbeats()
        passed = {"--ready-fd": writer, "--health-fd": heartbeats.writer}
        if self._listen_fd is not None:
            passed["--listen-fd"] = self._listen_fd
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own program)
                [*self.wanted.command, *(text for option, fd in passed.items() for text in (option, str(fd)))],
                env=dict(self._environ),
                pass_fds=(*passed.values(), self._lifeline),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(writer)
            os.close(heartbeats.writer)
        self._ready_fd = reader
        self._heartbeats = heartbeats
        self._hangs = HangDetector(self._hang_seconds)
        self.ready = self.killed_as_hung = False
        self._started_at = self._clock()

    def read_ready(self) -> None:
        """Read its ready line, if there is one."""
        if self._ready_fd is None:
            return
        try:
            line = os.read(self._ready_fd, 4096)
        except BlockingIOError:
            return
        self.ready = bool(line)
        self._close_ready_fd()

    def kill_if_hung(self) -> str | None:
        """Send SIGKILL if it hangs. Returns why it counts as hung, once; None otherwise."""
        if self._process is None or self._heartbeats is None or self.killed_as_hung:
            return None
        now = self._clock()
        if (ages := self._heartbeats.newest()) is not None:
            self._hangs.beat(ages, now)
        if (why := self._hangs.why_hung(self._process.pid, now)) is not None:
            self.killed_as_hung = True
            self.signal(signal.SIGKILL)
        return why

    def reap(self) -> int | None:
        """Schedule a restart if it died since the last call. Returns its exit code (negative: the signal), or None."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        self._process = None
        self.read_ready()
        self._close_ready_fd()
        if self._heartbeats is not None:
            self._heartbeats.close()
            self._heartbeats = None
        self.ready = False
        now = self._clock()
        self._deaths = 1 if now - self._started_at >= STEADY_SECONDS else self._deaths + 1
        self._next_start_at = now + restart_delay_seconds(self._deaths)
        return code

    def signal(self, number: int) -> None:
        """Send it a signal if it is running."""
        if self._process is not None:
            self._process.send_signal(number)

    def _close_ready_fd(self) -> None:
        if self._ready_fd is not None:
            os.close(self._ready_fd)
            self._ready_fd = None


def command(*arguments: str) -> Sequence[str]:
    """The command line of one of our commands, run by this Python whatever the PATH says."""
    return [sys.executable, "-m", "elastic_images", *arguments]


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
