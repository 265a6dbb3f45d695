"""Request heads: which of them the front answers. HTTP/1.1 by RFC 9112; anything unusual goes to the backend."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from elastic_images.front.framing import add_field
from elastic_images.front.reads import Environ, Reads, RequestKind

_REMEMBERED = 1024
_REMEMBERED_BYTES = 2048

PLAIN = re.compile(rb"GET /images/([!$&-;=@-Z_a-z~]{1,255}) HTTP/1\.1\r\n").match
"""The request line of nearly every read: a key without percent-encoding, and no query."""

_LINE = re.compile(rb"(GET|HEAD) (/[!$-;=?-Z_a-z~]*) HTTP/1\.([01])").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_CREDENTIALS = ((b"\r\nauthorization:", "HTTP_AUTHORIZATION"), (b"\r\ncookie:", "HTTP_COOKIE"))


class Fields(NamedTuple):
    """The header fields of a request, and what they ask for."""

    environ: Environ
    whole: bool
    """Whether they ask for the whole image and leave the connection open."""
    close: bool
    """Whether the client asks to close the connection."""
    keep_alive: bool
    """Whether it asks to keep it, as clients of HTTP/1.0 must."""


def plain_environ(fields: Fields, name: str) -> Environ:
    """The request whose line `PLAIN` matched, with this name."""
    return {**fields.environ, "REQUEST_METHOD": "GET", "PATH_INFO": f"/images/{name}", "QUERY_STRING": ""}


class Request(NamedTuple):
    """A read that the data plane answers."""

    environ: Environ
    name: str | None
    """The name in memory; None if only `Reads.respond` can tell what is asked for."""
    fields: Fields
    is_old: bool
    """Whether it is HTTP/1.0."""

    @property
    def close(self) -> bool:
        """Whether the connection ends with the answer."""
        return self.fields.close or (self.is_old and not self.fields.keep_alive)

    @property
    def is_head(self) -> bool:
        """Whether the answer has no body."""
        return self.environ["REQUEST_METHOD"] == "HEAD"


class Heads:
    """Parses request heads. For the front's own thread."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._starts = [method + prefix for method in (b"GET ", b"HEAD ") for prefix in reads.prefixes]
        self.known: dict[tuple[str, bytes], Fields] = {}
        """Header fields already classified, by the client's address and their bytes, empty line included.

        Clients repeat their fields: a lookup takes 0.2 us, parsing those of a browser 15.
        """
        self._requests: dict[tuple[str, bytes], Request] = {}
        """Whole requests that `PLAIN` does not match, such as those for renditions: reading one again takes 10 us."""

    def read(self, head: bytes, address: str) -> Request | None:
        """The request of a head, empty line included; None if the backend is to answer it."""
        remembered = self._requests.get((address, head))
        if remembered is not None:
            return remembered
        request = self._parsed(head, address)
        if request is not None and request.name is not None:
            if len(self._requests) >= _REMEMBERED:
                self._requests.clear()
            if len(head) <= _REMEMBERED_BYTES:
                self._requests[address, head] = request
        return request

    def _parsed(self, head: bytes, address: str) -> Request | None:
        line, _, block = head.partition(b"\r\n")
        matched = _LINE(line)
        if matched is None or not any(head.startswith(start) for start in self._starts):
            return None
        fields = self._fields(block, address)
        if fields is None:
            return None
        method, target, minor = matched.groups()
        raw, _, query = target.partition(b"?")
        path = unquote_to_bytes(raw)
        environ = {
            **fields.environ,
            "REQUEST_METHOD": method.decode(),
            "PATH_INFO": path.decode("latin-1"),
            "QUERY_STRING": query.decode(),
        }
        return Request(environ, self._reads.name_of(environ), fields, minor == b"0")

    def of_one(self, block: bytes, address: str) -> Fields | None:
        """The fields of a block that is not in `known`, if it is whole and nothing follows it; else None."""
        end = block.find(b"\r\n\r\n")
        return self._fields(block, address) if 0 <= end == len(block) - 4 < _REMEMBERED_BYTES else None

    def _fields(self, block: bytes, address: str) -> Fields | None:
        fields = self.known.get((address, block))
        if fields is None:
            apart = _without_credentials(block) if self._reads.judges_each else None
            fields = self._classified(block, address) if apart is None else self._with_credentials(*apart, address)
            if fields is not None and len(block) <= _REMEMBERED_BYTES:
                if len(self.known) >= _REMEMBERED:
                    self.known.clear()
                self.known[address, block] = fields
        return fields

    def _with_credentials(self, block: bytes, credentials: dict[str, str], address: str) -> Fields | None:
        """So that many people with the same program are read as one: this takes 3 us."""
        fields = self._fields(block, address)
        return None if fields is None else fields._replace(environ={**fields.environ, **credentials})

    def _classified(self, block: bytes, address: str) -> Fields | None:
        read = _read_fields(block)
        if read is None:
            return None
        given, connection = read
        environ = {"REMOTE_ADDR": address, "wsgi.url_scheme": "http", **given}
        kind = self._reads.classify(environ)
        if kind is RequestKind.BACKEND:
            return None
        close = "close" in connection
        return Fields(environ, kind is RequestKind.WHOLE and not close, close, "keep-alive" in connection)


def _without_credentials(block: bytes) -> tuple[bytes, dict[str, str]] | None:
    """Header fields without credentials, and these as WSGI spells them; None if there are none, or they are unusual."""
    given = {}
    for mark, name in _CREDENTIALS:
        lower = b"\r\n" + block.lower()
        start = lower.find(mark)
        if start < 0:
            continue
        end = block.find(b"\r\n", start)
        value = block[start + len(mark) - 2 : end].strip(b" \t")
        if lower.find(mark, start + 1) >= 0 or _CONTROL(value):
            return None
        given[name] = value.decode("latin-1")
        block = block[:start] + block[end + 2 :]
    return (block, given) if given else None


def _read_fields(block: bytes) -> tuple[dict[str, str], set[str]] | None:
    """The fields as WSGI spells them, and what `Connection` says; None if there is a body, or anything malformed.

    As in `framing.RequestFrame`, names with an underscore are left out. `Expect`, `Upgrade` and the like ask for
    nothing that a read without a body would get.
    """
    environ: dict[str, str] = {}
    for line in block.split(b"\r\n")[:-2]:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME(name) or _CONTROL(value):
            return None
        if b"_" in name:
            continue
        add_field(environ, name.decode(), value.decode("latin-1"))
    host = environ.get("HTTP_HOST")
    if not host or "," in host or "HTTP_TRANSFER_ENCODING" in environ or environ.pop("HTTP_CONTENT_LENGTH", "0") != "0":
        return None
    return environ, {token.strip(" \t").lower() for token in environ.get("HTTP_CONNECTION", "").split(",")}
