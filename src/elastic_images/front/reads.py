"""What a data plane tells the front: the seam between the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Protocol

from elastic_images.http.answer import Answer
from elastic_images.http.response_head import ResponseHead

Environ = Mapping[str, str]
"""A request as WSGI (PEP 3333) spells it: method, path, query, the client's address, and its header fields."""


class Verdict(Enum):
    """What is to be done with requests of these header fields."""

    PASS_ON = auto()
    """The data plane does not answer them; Flask does."""
    WHOLE = auto()
    """Nothing in them makes the answer other than the whole image."""
    CONDITIONAL = auto()
    """They hold conditions, a range, or something else that the answer depends on."""


Whole = tuple[bytes, bytes | memoryview]
"""A whole image: the lines of the answer's head, each with its end, and the bytes."""


class Question(Protocol):
    """What is to be asked of another server of ours before a read can be answered."""

    @property
    def address(self) -> tuple[str, int]:
        """Where: a numeric IP address, and the port."""

    @property
    def request(self) -> bytes:
        """The whole request, a GET of HTTP/1.1."""

    def ended(self, head: ResponseHead | None, body: memoryview) -> Whole | Callable[[], Answer]:
        """Called once, with the answer, or None where there was none in time; must not wait.

        `body` is valid until the answer was sent. Gives what the client gets, or what finds it out: called on a thread
        that may wait.
        """


class Reads(Protocol):
    """The part of a data plane that the front calls. Everything but `respond` is called on the front's own thread."""

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """How the paths begin that are the data plane's."""

    def judge(self, environ: Environ) -> Verdict:
        """What to do with requests of these header fields and this `REMOTE_ADDR`. Its answer is remembered."""

    def hit(self, name: str, environ: Environ, now: float) -> Whole | None:
        """The whole image of that name behind the first prefix, where it is in memory. Called where judged WHOLE."""

    def from_memory(self, name: str, environ: Environ, now: float) -> Answer | None:
        """As `hit`, for a request of any kind; HEAD is answered as GET."""

    def question(self, name: str) -> Question | None:
        """What must be asked elsewhere for the whole image; None: `respond` sees to it."""

    def respond(self, environ: Environ) -> Answer:
        """The answer to a GET or HEAD, errors included. May wait: it is called on a thread of its own."""
