"""What stands between clients and the backend: answers that need no thread, and places by client."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from elastic_images.front.backend_places import BackendPlaces, Place
from elastic_images.front.framing import RequestFrame
from elastic_images.front.limits import Limits
from elastic_images.front.places import client_of
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer

EarlyAnswer = Callable[[Environ, bytes], Answer | None]
"""The answer to a POST with these header fields and this body, a form; None if only the backend knows. Quick."""
_NEVER_WAIT = frozenset({b"/healthz", b"/readyz", b"/metrics"})


class Answered(Exception):
    """The request needs no backend."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Admission:
    """For the front's own thread."""

    def __init__(
        self,
        limits: Limits,
        read_prefixes: tuple[bytes, ...],
        forwarded_address: Callable[[Environ], str] | None = None,
        early_answers: Mapping[bytes, EarlyAnswer] | None = None,
    ) -> None:
        """`read_prefixes`: what the data plane bounds by itself. `forwarded_address`: the client's, behind a proxy."""
        self._limits = limits
        self._read_prefixes = read_prefixes
        self._forwarded_address = forwarded_address
        self._early_answers = early_answers or {}
        waiting = limits.waiting_of_a_client
        self._requests = BackendPlaces(limits.requests_for_all, limits.requests_of_a_client, waiting)
        self._uploads = BackendPlaces(limits.uploads_for_all, limits.uploads_of_a_client, waiting)
        self.answered = 0
        """How many requests needed no backend."""

    @property
    def refused(self) -> int:
        """How many requests were refused because others of their client waited."""
        return self._requests.refused + self._uploads.refused

    def admit(
        self, frame: RequestFrame, body: bytes | bytearray, address: str, client: str | None, begin: Callable[[], None]
    ) -> Place | None:
        """A place for a request (`BackendPlaces.ask`); None if it needs none. `body` is whole if it is a form.

        `address` is that of the connection, and `client` whose it is (`places.Placed`).

        Raises:
            Answered: it is answered already.
            Unavailable: too many requests of this client wait.
        """
        early = self._early_answers.get(frame.path) if frame.method == b"POST" and frame.length_bytes else None
        answer = early(frame.environ(address), bytes(body)) if early is not None and frame.body.done else None
        if answer is not None:
            self.answered += 1
            raise Answered(answer)
        if frame.path in _NEVER_WAIT or frame.path.startswith(self._read_prefixes):
            return None
        if client is None and self._forwarded_address is not None:
            forwarded = self._forwarded_address(frame.environ(address))
            client = client_of(forwarded) if forwarded != address else None
        is_upload = frame.method == b"PUT" or (frame.length_bytes or 0) > self._limits.form_bytes
        return (self._uploads if is_upload else self._requests).ask(client, begin)
