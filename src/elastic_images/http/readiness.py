"""What an app can do at this moment, and whether it is ready: the answers of `/readyz`.

Importing this module loads neither Flask nor SQLAlchemy: clients and the nodes use it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from elastic_images.core.errors import ElasticImagesError, InvalidRequest, Unavailable
from elastic_images.http.problems import is_database_error

_log = logging.getLogger(__name__)
PATIENCE_SECONDS = 0.8
"""How long an answer waits for a check of a database or a disk."""
ASK_SECONDS = 1.4
"""How long a check waits for another process's `/readyz`, which may wait for its own checks."""
REMOTE_PATIENCE_SECONDS = 1.6
_FRESH_SECONDS = 1.0
_ABANDON_SECONDS = 10.0
_MAX_ABANDONED = 3
SHARED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """What can be done at this moment: reading and writing images, or what the app is for. See docs/operations.md."""

    read: bool = True
    write: bool = True
    checks: Mapping[str, Check] = field(default_factory=dict)

    @property
    def failing(self) -> str:
        """The checks that failed, in a sentence each; empty if none did."""
        return " ".join(f"{name}: {check.detail}" for name, check in self.checks.items() if not check.ok)

    @property
    def failing_names(self) -> str:
        """The names of the checks that failed, for strangers; empty if none did."""
        names = [name for name, check in self.checks.items() if not check.ok]
        return f"Not working: {', '.join(names)}." if names else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values, which `from_json` reads back."""
        checks = {name: {"ok": check.ok, "detail": check.detail} for name, check in self.checks.items()}
        return {"read": self.read, "write": self.write, "checks": checks}

    @classmethod
    def from_json(cls, value: Any) -> Readiness:
        """Read the output of `to_json`. Raises Unavailable if it is anything else."""
        try:
            checks = {str(name): Check(bool(one["ok"]), str(one["detail"])) for name, one in value["checks"].items()}
            return cls(bool(value["read"]), bool(value["write"]), checks)
        except (TypeError, KeyError, AttributeError):
            raise Unavailable("Another process sent something that is not a readiness document.") from None


class Probe:
    """A check that may hang. It runs on a thread of its own, and its result is kept for a second.

    A run that hangs counts as failed; after 10 s the next one no longer waits for its end. Safe to share between
    threads.

    Args:
        name: for the thread and the log.
        run: raises the reason why it failed; otherwise it may return what it found, in words.
        patience_seconds: how long callers wait for a run.
        fresh_seconds: how long a result is kept.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], object],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        fresh_seconds: float = _FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._run = run
        self._patience_seconds = patience_seconds
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._result = Check(ok=False, detail="Not checked yet.")
        self._checked_at = self._begun_at = float("-inf")
        self._current: object | None = None
        self._running = 0

    def begin(self) -> None:
        """Start a run unless the last result is fresh, or one is under way."""
        with self._changed:
            now = self._clock()
            if now < self._checked_at + self._fresh_seconds:
                return
            hangs = self._current is not None
            if hangs and (now < self._begun_at + _ABANDON_SECONDS or self._running > _MAX_ABANDONED):
                return
            self._current, self._begun_at = run, _ = object(), now
            self._running += 1
        threading.Thread(target=self._work, args=(run,), name=f"check-{self._name}", daemon=True).start()

    def result(self) -> Check:
        """What the run under way finds, or the last one found."""
        with self._changed:
            left = self._begun_at + self._patience_seconds - self._clock()
            if self._current is not None and left > 0:
                self._changed.wait_for(lambda: self._current is None, left)
            if self._current is None:
                return self._result
            return Check(ok=False, detail=f"No answer for {self._clock() - self._begun_at:.1f} s.")

    def _work(self, run: object) -> None:
        found = self._check()
        with self._changed:
            self._running -= 1
            if self._current is run:
                if found.ok != self._result.ok and self._checked_at > float("-inf"):
                    _log.log(logging.INFO if found.ok else logging.WARNING, "check of %s: %s", self._name, found.detail)
                self._result, self._checked_at, self._current = found, self._clock(), None
                self._changed.notify_all()

    def _check(self) -> Check:
        try:
            found = self._run()
            return Check(ok=True, detail=found if isinstance(found, str) else "Responding.")
        except ElasticImagesError as error:
            return Check(ok=False, detail=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the check failed
            if is_database_error(error):
                return Check(ok=False, detail="The database does not answer.")
            if self._result.ok:
                _log.warning("check of %s failed", self._name, exc_info=error)
            return Check(ok=False, detail=f"{type(error).__name__}; the log has more.")


def ask(**probes: Probe) -> dict[str, Check]:
    """The results of all probes, which run side by side."""
    for probe in probes.values():
        probe.begin()
    return {name: probe.result() for name, probe in probes.items()}


class ReadyGate:
    """Judges whether a process is ready.

    Not before it could read for the first time, and not once it stops or one of its loops has ended. Apart from that,
    a process is not to blame for what it shares with others, such as the database: a check that fails counts only after
    `shared_seconds` in a row. Safe to share between threads.
    """

    def __init__(
        self,
        look: Callable[[], Readiness] = Readiness,
        *,
        shared_seconds: float = SHARED_SECONDS,
        loops: Mapping[str, Callable[[], bool]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look` must not hang; `loops`: by name, whether a loop has ended although nobody stopped it."""
        self._look = look
        self._shared_seconds = shared_seconds
        self._loops = loops or {}
        self._clock = clock
        self._draining = self._has_worked = False
        self._trouble_since: float | None = None

    def drain(self) -> None:
        """From now on the process is not ready: it is stopping."""
        self._draining = True

    def look(self) -> Readiness:
        """What can be done at this moment, with the check `process` for the process itself."""
        now = self._look()
        if now.read:
            self._has_worked = True
        if all(check.ok for check in now.checks.values()):
            self._trouble_since = None
        elif self._trouble_since is None:
            self._trouble_since = self._clock()
        process = self._process()
        able = not self._draining
        return Readiness(now.read and able, now.write and able, {"process": process, **now.checks})

    def judge(self, require: str | None = None) -> tuple[bool, Readiness]:
        """Whether to answer 200, and what was found. `require`: `read` or `write`, which must be possible now.

        Raises:
            InvalidRequest: any other `require`.
        """
        if require not in (None, "read", "write"):
            raise InvalidRequest("require must be read or write.")
        found = self.look()
        if require is not None:
            return (found.read if require == "read" else found.write), found
        since = self._trouble_since
        shared = since is not None and self._clock() >= since + self._shared_seconds
        return found.checks["process"].ok and not shared, found

    def _process(self) -> Check:
        if self._draining:
            return Check(ok=False, detail="Stopping.")
        ended = [name for name, has_ended in self._loops.items() if has_ended()]
        if ended:
            return Check(ok=False, detail=f"The loop {ended[0]} has ended.")
        if not self._has_worked:
            return Check(ok=False, detail="Starting: it could not do its work yet.")
        return Check(ok=True, detail="Serving.")
