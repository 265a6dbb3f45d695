"""Flash messages: what a form's outcome shows on the next page, with what was typed, or a secret shown only once.

Forms redirect, so a reload submits nothing again; the message waits for the page that the redirect leads to.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_KEEP_SECONDS = 600.0
_MAX_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class FlashMessage:
    """One message."""

    words: str = ""
    kind: str = "good"
    """`good`, `warn` or `bad`."""
    secret: str = field(default="", repr=False)
    """A password or token, shown with the words."""
    form: str = ""
    """The form of the page that it is about."""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What was typed into the form, without passwords."""


class FlashMessages:
    """Keeps messages in memory until they are taken, for ten minutes at most. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: OrderedDict[str, tuple[float, str, FlashMessage]] = OrderedDict()

    def leave(self, owner: str, message: FlashMessage) -> str:
        """Keep a message for `owner`. Returns its name, which cannot be guessed."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._messages[name] = (self._clock(), owner, message)
            while len(self._messages) > _MAX_MESSAGES:
                self._messages.popitem(last=False)
        return name

    def take(self, owner: str, name: str) -> FlashMessage | None:
        """The message of that name, once; None if `owner` has none."""
        with self._lock:
            found = self._messages.get(name)
            if found is None or found[1] != owner:
                return None
            del self._messages[name]
        left_at, _, message = found
        return message if self._clock() - left_at < _KEEP_SECONDS else None
