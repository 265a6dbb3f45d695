"""A multipart form, read part by part while it comes in (RFC 7578).

Fields are kept in memory and are small; a file is spooled to a temporary file. Whoever closes each file before he asks
for the next part has no more than one at a time.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio import multipart

from elastic_images.core.errors import IncompleteBody, InvalidRequest, OutOfSpace, TooLarge
from elastic_images.web.bodies import ExactBody, announced_length, exact_body

MAX_FIELD_BYTES = 64 * 1024
_IN_MEMORY_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_MAX_BUFFER_BYTES = 4 * _READ_BYTES


@dataclass(frozen=True, slots=True)
class FieldPart:
    """A field: its name and its text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file: `stream` stands at its beginning, and is closed with the form at the latest."""

    name: str
    filename: str
    stream: IO[bytes]
    size_bytes: int


Part = FieldPart | FilePart


@contextmanager
def parts(request: Request, *, max_body_bytes: int, max_file_bytes: int, max_parts: int) -> Iterator[Iterator[Part]]:
    """The parts of the form that `request` brings, in their order.

    Raises (while they are read, too):
        LengthRequired, TooLarge: the body as a whole, a file, a field or the number of parts.
        OutOfSpace: for the temporary file.
        IncompleteBody: it ended before its announced length, or before the closing boundary.
        InvalidRequest: it is no multipart form.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary or not boundary.isascii():
        raise InvalidRequest("The body must be multipart/form-data.")
    length = announced_length(request, max_body_bytes, "A form")
    reader = _Reader(exact_body(request, length), boundary, max_file_bytes, max_parts)
    try:
        yield reader.parts()
    finally:
        reader.close()


class _Reader:
    def __init__(self, body: ExactBody, boundary: str, max_file_bytes: int, max_parts: int) -> None:
        self._body = body
        self._decoder = multipart.MultipartDecoder(
            boundary.encode(), max_form_memory_size=_MAX_BUFFER_BYTES, max_parts=max_parts
        )
        self._max_file_bytes = max_file_bytes
        self._spools: list[SpooledTemporaryFile[bytes]] = []

    def close(self) -> None:
        """Drop the temporary files."""
        for spool in self._spools:
            spool.close()

    def parts(self) -> Iterator[Part]:
        """Each part, complete."""
        for event in self._events():
            if isinstance(event, multipart.Field):
                yield FieldPart(_name(event.name), self._field_text())
            elif isinstance(event, multipart.File):
                yield self._file(_name(event.name), event.filename)

    def _field_text(self) -> str:
        text = bytearray()
        for data in self._part_data():
            text += data
            if len(text) > MAX_FIELD_BYTES:
                raise TooLarge(f"A field of a form has at most {MAX_FIELD_BYTES} bytes.")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest("A field of the form is not UTF-8.") from None

    def _file(self, name: str, filename: str) -> FilePart:
        spool = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        self._spools.append(spool)
        size = 0
        for data in self._part_data():
            size += len(data)
            if size > self._max_file_bytes:
                raise TooLarge(f"An image has at most {self._max_file_bytes} bytes.")
            self._keep(spool, data)
        spool.seek(0)
        return FilePart(name, filename, spool, size)

    def _keep(self, spool: SpooledTemporaryFile[bytes], data: bytes) -> None:
        try:
            spool.write(data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutOfSpace("There is no room for the upload's temporary file.") from error
            raise

    def _part_data(self) -> Iterator[bytes]:
        for event in self._events():
            if not isinstance(event, multipart.Data):  # pragma: no cover - the decoder sends a part's data in a row
                raise InvalidRequest("The form cannot be read.")
            yield event.data
            if not event.more_data:
                return

    def _events(self) -> Iterator[multipart.Event]:
        """The decoder's events up to the closing boundary. May be left and taken up again at any event."""
        while True:
            event = self._next_event()
            if isinstance(event, multipart.Epilogue):
                return
            if not isinstance(event, multipart.NeedData):
                yield event
                continue
            self._receive(self._body.read(_READ_BYTES) or None)

    def _next_event(self) -> multipart.Event:
        try:
            return self._decoder.next_event()
        except RequestEntityTooLarge:
            raise TooLarge("The form has too many parts.") from None
        except (ValueError, AttributeError):
            # AttributeError: the decoder meets a part whose headers are not followed by a line break.
            if self._decoder.complete:
                raise IncompleteBody("The form ended before its closing boundary.") from None
            raise InvalidRequest("The form cannot be read.") from None

    def _receive(self, data: bytes | None) -> None:
        try:
            self._decoder.receive_data(data)
        except RequestEntityTooLarge:
            raise TooLarge("The headers of a part of the form are too long.") from None


def _name(name: str | None) -> str:
    return name or ""
