"""Parses a multipart form part by part as it arrives (RFC 7578).

Why not a library: see docs/decisions/own-multipart.md.

Fields are small and kept in memory; files are spooled to temporary files. To hold only one file at a time, close each
before asking for the next part.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from flask import Request
from werkzeug.http import parse_options_header

from elastic_images.core.errors import InvalidRequest, OutOfSpace, TooLarge
from elastic_images.web.bodies.delimited import DelimitedInput
from elastic_images.web.bodies.exact import ExactBody, announced_length, exact_body

MAX_FIELD_BYTES = 64 * 1024
_IN_MEMORY_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 16 * 1024
_MAX_LINE_BYTES = 1024
_BLANK_LINE = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class FieldPart:
    """A text field."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file: `stream` is at its start, and is closed with the form at the latest."""

    name: str
    filename: str
    stream: IO[bytes]
    size_bytes: int


Part = FieldPart | FilePart


@contextmanager
def parts(request: Request, *, max_body_bytes: int, max_file_bytes: int, max_parts: int) -> Iterator[Iterator[Part]]:
    """The parts of a request's form, in order.

    Raises (also while iterating):
        LengthRequired: the body has no length.
        TooLarge: the body, a file, a field or the number of parts exceeds its limit.
        OutOfSpace: no room for the temporary file.
        IncompleteBody: the body ended before its announced length or before the closing boundary.
        InvalidRequest: it is not a multipart form.
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
    """Splits a form into parts. Reads anything that may be long in pieces."""

    def __init__(self, body: ExactBody, boundary: str, max_file_bytes: int, max_parts: int) -> None:
        self._input = DelimitedInput(body)
        self._delimiter = b"\r\n--" + boundary.encode()
        self._max_file_bytes = max_file_bytes
        self._max_parts = max_parts
        self._spools: list[SpooledTemporaryFile[bytes]] = []

    def close(self) -> None:
        """Delete the temporary files."""
        for spool in self._spools:
            spool.close()

    def parts(self) -> Iterator[Part]:
        """Each part, complete."""
        for _ in self._input.until(self._delimiter):
            pass  # skip the preamble
        count = 0
        while not self._is_last():
            count += 1
            if count > self._max_parts:
                raise TooLarge(f"The form has more than {self._max_parts} parts.")
            name, filename = self._head()
            yield FieldPart(name, self._field()) if filename is None else self._file(name, filename)
        self._input.skip_rest()

    def _is_last(self) -> bool:
        """Whether the boundary just read closes the form; otherwise reads the rest of its line."""
        line = self._input.up_to(b"\r\n", _MAX_LINE_BYTES, also_at_end=True)
        if line.startswith(b"--"):
            return True
        if line.strip(b" \t"):
            raise InvalidRequest("Malformed form: unexpected text after a boundary.")
        return False

    def _head(self) -> tuple[str, str | None]:
        """A part's name and, for a file, its file name. Leaves the line break before the content."""
        try:
            lines = self._input.up_to(_BLANK_LINE, _MAX_HEAD_BYTES).decode().split("\r\n")
        except UnicodeDecodeError:
            raise InvalidRequest("Malformed form: a part's header is not UTF-8.") from None
        self._input.put_back(b"\r\n")
        for line in lines:
            header, _, value = line.partition(":")
            if header.strip().lower() == "content-disposition":
                options = parse_options_header(value.strip())[1]
                return options.get("name", ""), options.get("filename")
        raise InvalidRequest("Malformed form: a part has no Content-Disposition.")

    def _content(self) -> Iterator[bytes]:
        """A part's content in pieces. Some clients send an empty part without a line break of its own."""
        skip = 2
        for piece in self._input.until(self._delimiter):
            yield piece[skip:]
            skip = max(0, skip - len(piece))

    def _field(self) -> str:
        text = bytearray()
        for data in self._content():
            text += data
            if len(text) > MAX_FIELD_BYTES:
                raise TooLarge(f"A form field may have at most {MAX_FIELD_BYTES} bytes.")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest("A form field is not UTF-8.") from None

    def _file(self, name: str, filename: str) -> FilePart:
        spool = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        self._spools.append(spool)
        size = 0
        for data in self._content():
            size += len(data)
            if size > self._max_file_bytes:
                raise TooLarge(f"An image may have at most {self._max_file_bytes} bytes.")
            _keep(spool, data)
        spool.seek(0)
        return FilePart(name, filename, spool, size)


def _keep(spool: SpooledTemporaryFile[bytes], data: bytes) -> None:
    try:
        spool.write(data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpace("No room for the upload's temporary file.") from error
        raise
