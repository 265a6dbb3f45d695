"""A multipart form, read part by part while it comes in (RFC 7578).

Not by Werkzeug's decoder: where a read ends within the last boundary it adds a byte to the file before it
(`test_every_part_comes_out_as_it_went_in` shows it on Werkzeug 3.1.9), and an image is stored exactly.

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
    """Takes a form apart. Everything that may be long is read in pieces."""

    def __init__(self, body: ExactBody, boundary: str, max_file_bytes: int, max_parts: int) -> None:
        self._input = DelimitedInput(body)
        self._delimiter = b"\r\n--" + boundary.encode()
        self._max_file_bytes = max_file_bytes
        self._max_parts = max_parts
        self._spools: list[SpooledTemporaryFile[bytes]] = []

    def close(self) -> None:
        """Drop the temporary files."""
        for spool in self._spools:
            spool.close()

    def parts(self) -> Iterator[Part]:
        """Each part, complete."""
        for _ in self._input.until(self._delimiter):
            pass  # what stands before the first boundary means nothing
        count = 0
        while not self._is_last():
            count += 1
            if count > self._max_parts:
                raise TooLarge(f"The form has more than {self._max_parts} parts.")
            name, filename = self._head()
            yield FieldPart(name, self._field()) if filename is None else self._file(name, filename)
        self._input.skip_rest()

    def _is_last(self) -> bool:
        """Whether the boundary just read closes the form; else the line that it stands on is read to its end."""
        line = self._input.up_to(b"\r\n", _MAX_LINE_BYTES, also_at_end=True)
        if line.startswith(b"--"):
            return True
        if line.strip(b" \t"):
            raise InvalidRequest("The form cannot be read: something follows a boundary.")
        return False

    def _head(self) -> tuple[str, str | None]:
        """A part's name and, where it is a file, its file name. The line break before the content is left."""
        try:
            lines = self._input.up_to(_BLANK_LINE, _MAX_HEAD_BYTES).decode().split("\r\n")
        except UnicodeDecodeError:
            raise InvalidRequest("The form cannot be read: the head of a part is not UTF-8.") from None
        self._input.put_back(b"\r\n")
        for line in lines:
            header, _, value = line.partition(":")
            if header.strip().lower() == "content-disposition":
                options = parse_options_header(value.strip())[1]
                return options.get("name", ""), options.get("filename")
        raise InvalidRequest("The form cannot be read: a part has no Content-Disposition.")

    def _content(self) -> Iterator[bytes]:
        """A part's content in pieces. Some clients let an empty part's line break be that of the boundary as well."""
        skip = 2
        for piece in self._input.until(self._delimiter):
            yield piece[skip:]
            skip = max(0, skip - len(piece))

    def _field(self) -> str:
        text = bytearray()
        for data in self._content():
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
        for data in self._content():
            size += len(data)
            if size > self._max_file_bytes:
                raise TooLarge(f"An image has at most {self._max_file_bytes} bytes.")
            _keep(spool, data)
        spool.seek(0)
        return FilePart(name, filename, spool, size)


def _keep(spool: SpooledTemporaryFile[bytes], data: bytes) -> None:
    try:
        spool.write(data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpace("There is no room for the upload's temporary file.") from error
        raise
