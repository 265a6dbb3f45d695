"""Requests that the backend answers: one at a time, each collected before the backend sees it.

A thread of the backend that reads a body cannot be interrupted, so it must not meet a slow client: forms are passed on
whole, uploads with their first 256 KB, and then the client must keep up the rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from elastic_images.core.errors import ElasticImagesError, LengthRequired, RequestTimeout, Unavailable
from elastic_images.front.backend import Backend, BackendOwner
from elastic_images.front.backend_places import Place
from elastic_images.front.framing import AnswerFrame, RequestFrame
from elastic_images.front.limits import Limits

_KEPT = 1 / 3
"""For how much of the time that the backend keeps an idle connection it may be used again."""


class PassageClient(Protocol):
    """The connection whose requests are passed on."""

    @property
    def has_room(self) -> bool:
        """Whether more of an answer can be given."""

    def body_wanted(self) -> None:
        """More of the body can be taken."""

    def give(self, data: bytes, left_bytes: int) -> None:
        """Send a part of the answer, after which `left_bytes` are still to come."""

    def passage_over(self, *, close: bool) -> None:
        """The request was answered; `close` says whether to end the connection."""

    def admit(self, frame: RequestFrame, body: bytes | bytearray, begin: Callable[[], None]) -> Place:
        """See `admission.Admission.admit`; `begin` is called in a later turn."""

    def abort(self) -> None:
        """Close the connection: no right answer can be given."""


class Passage:
    """What a connection has under way with the backend."""

    def __init__(
        self,
        client: PassageClient,
        connect: Callable[[BackendOwner], Backend | None],
        limits: Limits,
    ) -> None:
        """`connect` makes a connection to the backend; None if that fails."""
        self._client = client
        self._connect = connect
        self._limits = limits
        self._backend: Backend | None = None
        self._frame: RequestFrame | None = None
        self._answer: AnswerFrame | None = None
        self._collected = bytearray()
        self._place: Place | None = None
        self.waited_seconds = 0.0
        """How long the client let us wait for the body; every byte of an upload shortens it. Or how long it has waited
        for a place."""

    @property
    def waits_for_place(self) -> bool:
        """Whether its client has so many requests under way that this one has to wait."""
        return self._place is not None and self._place.waits

    @property
    def collected_bytes(self) -> int:
        """How much of a body is held."""
        return len(self._collected)

    @property
    def wants_body(self) -> bool:
        """Whether the body of the request is incomplete."""
        return self._frame is not None and not self._frame.body.done

    @property
    def accepts(self) -> bool:
        """Whether more of the body can be taken now."""
        if self.waits_for_place:
            return False
        return self._answer is None or self._backend is None or self._backend.accepts

    @property
    def has_begun_answer(self) -> bool:
        """Whether the client got a part of the answer."""
        return self._answer is not None and self._answer.begun

    def begin(self, frame: RequestFrame) -> None:
        """A request has come; `take` must follow."""
        self._frame = frame
        self.waited_seconds = 0.0

    def take(self, data: bytes) -> bytes:
        """Take what the client sent; the return value is what follows the request.

        Raises InvalidRequest, LengthRequired, Unavailable or Answered; then call `close`.
        """
        frame = self._frame
        assert frame is not None  # noqa: S101 - `begin` was called
        taken = frame.body.take(data)
        mine, rest = (data, b"") if taken == len(data) else (data[:taken], data[taken:])
        if not self._is_form(frame):
            self.waited_seconds = max(0.0, self.waited_seconds - taken / self._limits.upload_bytes_per_second)
        if self._answer is None:
            self._collected += mine
            if frame.body.done or len(self._collected) >= self._limits.collected_bytes:
                self._place = self._client.admit(frame, self._collected, self._pass_on_late)
                if self.waits_for_place:
                    self.waited_seconds = 0.0
                else:
                    self._pass_on(frame)
            elif frame.length_bytes is None and len(self._collected) > self._limits.form_bytes:
                raise LengthRequired(f"A body of more than {self._limits.form_bytes} bytes needs a Content-Length.")
        elif mine and self._backend is not None:
            self._backend.send(mine)
        if frame.body.done and self._answer is not None and self._answer.done:
            self._finish(close=self._answer.closes)
        return rest

    def overdue(self, seconds: float) -> ElasticImagesError | None:
        """Why it cannot go on, after another `seconds`: the client is too slow, or there was no place in time."""
        frame = self._frame
        if frame is None or (not self.waits_for_place and (frame.body.done or not self.accepts)):
            return None
        self.waited_seconds += seconds
        if self.waits_for_place:
            late = self.waited_seconds > self._limits.waiting_seconds
            return Unavailable("Too many requests of yours are under way; try again later.") if late else None
        allowed = self._limits.request_seconds if self._is_form(frame) else self._limits.upload_seconds
        late = self.waited_seconds > allowed
        return RequestTimeout("The body of the request came too slowly.") if late else None

    def client_left(self) -> None:
        """The client has closed its side. Most do so when they have left."""
        if self.waits_for_place:
            self._client.abort()
        elif self._backend is not None:
            self._backend.client_left()

    def resume(self) -> None:
        """The client has room again."""
        if self._backend is not None:
            self._backend.wait()

    def close(self) -> None:
        """Give up what is under way."""
        self._frame = self._answer = None
        self._collected = bytearray()
        self._leave_place()
        self._drop_backend()

    def _is_form(self, frame: RequestFrame) -> bool:
        return frame.length_bytes is None or frame.length_bytes <= self._limits.form_bytes

    def _pass_on_late(self) -> None:
        """There is a place now."""
        if self._place is None or self._place.waits or self._frame is None or self._answer is not None:
            return  # it has been closed meanwhile
        self.waited_seconds = 0.0
        self._pass_on(self._frame)
        self._client.body_wanted()

    def _pass_on(self, frame: RequestFrame) -> None:
        self._answer = AnswerFrame(frame.method)
        request, self._collected = frame.head + self._collected, bytearray()
        if self._backend is not None and self._backend.is_old(_KEPT * self._limits.idle_seconds):
            self._drop_backend()
        if self._backend is None:
            self._backend = self._connect(self)
        if self._backend is None:
            self._client.abort()
        else:
            self._backend.send(request)

    def _finish(self, *, close: bool) -> None:
        self._frame = self._answer = None
        self.waited_seconds = 0.0
        self._leave_place()
        if close:
            self._drop_backend()
        self._client.passage_over(close=close)

    def _leave_place(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.leave()

    def _drop_backend(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()

    # --- backend.BackendOwner

    @property
    def has_room(self) -> bool:
        """See `backend.BackendOwner`."""
        return self._client.has_room

    def backend_took(self) -> None:
        """See `backend.BackendOwner`."""
        self._client.body_wanted()

    def backend_gave(self, data: bytes) -> None:
        """See `backend.BackendOwner`."""
        answer, frame = self._answer, self._frame
        if answer is None or frame is None:
            self._client.abort()  # an answer to nothing
            return
        try:
            given = answer.take(data)
        except ValueError:
            self._client.abort()
            return
        if given:
            self._client.give(given, answer.left_bytes)
        # Giving may have failed, and closed everything. After a refusal the rest of the body is still passed on.
        if answer is self._answer and answer.done and (answer.closes or frame.body.done):
            self._finish(close=answer.closes)

    def backend_ended(self) -> None:
        """See `backend.BackendOwner`."""
        self._drop_backend()
        if self._answer is None:
            return  # it was idle
        if self._answer.end():
            self._finish(close=True)
        else:
            self._client.abort()
