"""The seam between the front and a data plane: what the front calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import NamedTuple, Protocol

from elastic_images.http.answer import Answer, Later
from elastic_images.http.response_head import ResponseHead

Environ = Mapping[str, str]
"""A request as WSGI (PEP 3333) spells it: method, path, query, the client's address, and its header fields."""


class RequestKind(Enum):
    """What the header fields of a request ask for."""

    BACKEND = auto()
    """Something that Flask answers: the request is passed on to the backend."""
    WHOLE = auto()
    """The whole image, whatever it is."""
    CONDITIONAL = auto()
    """An answer that depends on them: conditions, a range."""


WholeImage = tuple[bytes, bytes | memoryview]
"""A whole image: the header lines of the answer, each with its line end, and the bytes."""


Find = Callable[[], Answer | Later | None]
"""Finds an answer, as `Reads.respond` does."""


class WholeRead(NamedTuple):
    """A read of a whole image that is not in memory."""

    name: str
    """Its name there."""
    query: str
    environ: Callable[[], Environ]
    """Makes the request, for those who need more of it."""


class UpstreamRequest(Protocol):
    """What another of our servers must be asked before a read can be answered."""

    @property
    def address(self) -> tuple[str, int]:
        """A numeric IP address, and the port."""

    @property
    def request(self) -> bytes:
        """The whole request, a GET of HTTP/1.1."""

    def on_reply(self, head: ResponseHead | None, body: memoryview) -> WholeImage | Find:
        """Called once with the reply, or with None if none came in time. Must not block.

        `body` is valid until the answer was sent. Returns what the client gets, or a function that finds it on a
        thread that may block.
        """


class Reads(Protocol):
    """The part of a data plane that the front calls. Everything but `respond` is called on the front's own thread."""

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """The prefixes of the paths that the data plane answers."""

    @property
    def judges_each(self) -> bool:
        """Whether credentials are judged at each read: then `classify` does not look at them."""

    def classify(self, environ: Environ) -> RequestKind:
        """The kind of requests with these header fields and this `REMOTE_ADDR`. The front remembers it."""

    def name_of(self, environ: Environ) -> str | None:
        """The name in memory of what is asked for; None if only `respond` can tell.

        For plain paths (`heads.PLAIN`) the front knows that it is what follows the first prefix.
        """

    def front_hit(self, name: str, environ: Environ, now: float) -> WholeImage | None:
        """The whole image with this name if it is in memory, and the client is known to see it. For kind WHOLE only."""

    def front_answer(self, name: str, environ: Environ, now: float) -> Answer | None:
        """As `front_hit`, for requests of any kind; HEAD is answered as GET."""

    def upstream_request(self, read: WholeRead) -> UpstreamRequest | None:
        """What to ask another server for the whole image; None if `respond` is to be called instead."""

    def respond(self, environ: Environ) -> Answer | Later | None:
        """The answer to a GET or HEAD, errors included. May block: it is called on a worker thread.

        What may take many seconds is left for later, when it is called on a thread for slow reads. None: the backend
        is to answer.
        """


class NoReads:
    """The `Reads` of an app whose backend answers everything."""

    prefixes: tuple[bytes, ...] = ()
    judges_each = False

    def classify(self, environ: Environ) -> RequestKind:  # noqa: ARG002 - the protocol's signature
        """See `Reads`."""
        return RequestKind.BACKEND

    def name_of(self, environ: Environ) -> str | None:
        """See `Reads`."""

    def front_hit(self, name: str, environ: Environ, now: float) -> None:
        """See `Reads`. Never called, like the rest: no path has one of the prefixes."""

    front_answer = front_hit

    def upstream_request(self, read: WholeRead) -> None:
        """See `Reads`."""

    def respond(self, environ: Environ) -> Answer:
        """See `Reads`."""
        raise NotImplementedError(environ)
