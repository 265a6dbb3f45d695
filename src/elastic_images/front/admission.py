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
_SIGNS_OF_LIFE = frozenset({b"/healthz", b"/readyz", b"/metrics"})


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
        """`read_prefixes` are those of images. `forwarded_address` gives the client's, of a request by a proxy."""
        self._limits = limits
        self._read_prefixes = read_prefixes
        self._forwarded_address = forwarded_address
        self._early_answers = early_answers or {}
        waiting = limits.waiting_of_a_client
        # Each kind by itself, so that none waits behind another.
        self._requests, self._images, self._signs_of_life = (
            BackendPlaces(limits.requests_for_all, limits.requests_of_a_client, waiting) for _ in range(3)
        )
        self._uploads = BackendPlaces(limits.uploads_for_all, limits.uploads_of_a_client, waiting)
        self.answered = 0
        """How many requests needed no backend."""

    @property
    def refused(self) -> int:
        """How many requests were refused because others of their client waited."""
        return sum(kind.refused for kind in (self._requests, self._images, self._signs_of_life, self._uploads))

    def admit(
        self, frame: RequestFrame, body: bytes | bytearray, address: str, client: str | None, begin: Callable[[], None]
    ) -> Place:
        """A place for a request (`BackendPlaces.ask`). `body` is whole if it is a form.

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
        if client is None and self._forwarded_address is not None:
            forwarded = self._forwarded_address(frame.environ(address))
            client = client_of(forwarded) if forwarded != address else None
        return self._kind_of(frame).ask(client, begin)

    def _kind_of(self, frame: RequestFrame) -> BackendPlaces:
        if frame.method == b"PUT" or (frame.length_bytes or 0) > self._limits.form_bytes:
            return self._uploads
        if frame.path in _SIGNS_OF_LIFE:
            return self._signs_of_life
        return self._images if frame.path.startswith(self._read_prefixes) else self._requests
