"""Request heads: which of them the front understands. HTTP/1.1 by RFC 9112; what is odd in any way is passed on."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from elastic_images.front.reads import Environ, Reads, Verdict

MAX_HEAD_BYTES = 16_384
_REMEMBERED = 1024
_REMEMBERED_BYTES = 2048

PLAIN = re.compile(rb"GET /images/([!$&-;=@-Z_a-z~]{1,255}) HTTP/1\.1\r\n").match
"""The request line of nearly every read: of a key that is spelled as it is, without a query."""

_LINE = re.compile(rb"(GET|HEAD) (/[!$-;=?-Z_a-z~]*) HTTP/1\.1").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+").fullmatch  # no "_": WSGI spells it as "-"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_NOT_OURS = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
        b"te",
        b"trailer",
        b"proxy-connection",
        b"http2-settings",
    }
)


class Fields(NamedTuple):
    """The header fields of a request, judged."""

    environ: Environ
    whole: bool
    """Whether nothing in them makes the answer other than the whole image, and the connection stays."""
    close: bool
    """Whether the client wants the connection closed."""


def plain_environ(fields: Fields, name: str) -> Environ:
    """The request that `PLAIN` told the name of."""
    return {**fields.environ, "REQUEST_METHOD": "GET", "PATH_INFO": f"/images/{name}", "QUERY_STRING": ""}


class Request(NamedTuple):
    """A read that the data plane answers."""

    environ: Environ
    name: str | None
    """What stands behind the first prefix; None where only `Reads.respond` knows what is asked for."""
    fields: Fields

    @property
    def is_head(self) -> bool:
        """Whether the answer goes without its body."""
        return self.environ["REQUEST_METHOD"] == "HEAD"


class Heads:
    """Reads the heads of requests. For the front's own thread."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._starts = [method + prefix for method in (b"GET ", b"HEAD ") for prefix in reads.prefixes]
        self.known: dict[tuple[str, bytes], Fields] = {}
        """Header fields that were judged, by the client's address and their bytes, with the empty line at their end.

        A client sends the same ones again and again: a look here takes 0.2 us, reading those of a browser 15.
        """

    def may_be_ours(self, start: bytes) -> bool:
        """Whether what begins so can become a request that `read` understands."""
        # With bare LF (RFC 9112, section 2.2) it may be complete already, and the end that we look for never comes.
        if start.count(b"\n") != start.count(b"\r\n"):
            return False
        return any(start.startswith(ours[: len(start)]) for ours in self._starts)

    def read(self, head: bytes, address: str) -> Request | None:
        """The request of a head, its empty line included; None where it is to be passed on."""
        line, _, block = head.partition(b"\r\n")
        matched = _LINE(line)
        if matched is None or not any(head.startswith(start) for start in self._starts):
            return None
        fields = self.known.get((address, block)) or self._judged(block, address)
        if fields is None:
            return None
        method, target = matched.groups()
        raw, _, query = target.partition(b"?")
        path = unquote_to_bytes(raw)
        environ = {
            **fields.environ,
            "REQUEST_METHOD": method.decode(),
            "PATH_INFO": path.decode("latin-1"),
            "QUERY_STRING": query.decode(),
        }
        return Request(environ, None if query else self._name(path), fields)

    def _name(self, path: bytes) -> str | None:
        prefix = self._reads.prefixes[0]
        try:
            name = path[len(prefix) :].decode() if path.startswith(prefix) else None
        except UnicodeDecodeError:
            return None
        # With a NUL a name in memory is a rendition's (`core.renditions`), and no key.
        return None if name is None or "\0" in name else name

    def _judged(self, block: bytes, address: str) -> Fields | None:
        read = _read_fields(block)
        if read is None:
            return None
        given, close = read
        environ = {"REMOTE_ADDR": address, "wsgi.url_scheme": "http", **given}
        verdict = self._reads.judge(environ)
        if verdict is Verdict.PASS_ON:
            return None
        fields = Fields(environ, verdict is Verdict.WHOLE and not close, close)
        if len(block) <= _REMEMBERED_BYTES:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[address, block] = fields
        return fields


def _read_fields(block: bytes) -> tuple[dict[str, str], bool] | None:
    """The fields as WSGI spells them, and whether the connection is to be closed; None where they are odd."""
    environ: dict[str, str] = {}
    close = False
    for line in block.split(b"\r\n")[:-2]:
        name, colon, value = line.partition(b":")
        lower = name.lower()
        if not colon or not _NAME(name) or _CONTROL(value) or lower in _NOT_OURS:
            return None
        value = value.strip(b" \t")
        if lower == b"connection":
            close = value.lower() == b"close"
            if not close and value.lower() != b"keep-alive":
                return None
        spelled = "HTTP_" + lower.decode().upper().replace("-", "_")
        if spelled in environ:
            return None
        environ[spelled] = value.decode("latin-1")
    return (environ, close) if environ.get("HTTP_HOST") else None
