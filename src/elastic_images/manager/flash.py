"""What one page has to tell on the next: the outcome of a form, what was typed into it, a secret that is shown once.

Every form is answered by a redirect, so that a reload sends nothing again; the note waits for the page it leads to.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_KEEP_SECONDS = 600.0
_MAX_NOTES = 500


@dataclass(frozen=True, slots=True)
class Note:
    """One note."""

    words: str = ""
    kind: str = "good"
    """`good`, `warn` or `bad`."""
    secret: str = field(default="", repr=False)
    """A password or token; shown with the words."""
    form: str = ""
    """Which form of the page it is about."""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What was typed into it, without passwords."""


class Notes:
    """Keeps notes until they are taken, ten minutes at most, in memory. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._notes: OrderedDict[str, tuple[float, str, Note]] = OrderedDict()

    def leave(self, owner: str, note: Note) -> str:
        """Keep a note for `owner`; gives its name, which nobody can guess."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._notes[name] = (self._clock(), owner, note)
            while len(self._notes) > _MAX_NOTES:
                self._notes.popitem(last=False)
        return name

    def take(self, owner: str, name: str) -> Note | None:
        """The note, once; None where there is none of that name for `owner`."""
        with self._lock:
            found = self._notes.get(name)
            if found is None or found[1] != owner:
                return None
            del self._notes[name]
        left_at, _, note = found
        return note if self._clock() - left_at < _KEEP_SECONDS else None
