"""Where requests and answers end (RFC 9112), so that the front knows what it passes on.

The backend parses every request that is passed on. A request that the two might read in different ways is refused here.
"""

from __future__ import annotations

import re

from elastic_images.core.errors import HeadTooLarge, InvalidRequest

MAX_HEAD_BYTES = 16_384
_MAX_ANSWER_HEAD_BYTES = 65_536
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/1\.([01])").fullmatch
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[^#]*|\?[^#]*|)", re.IGNORECASE).fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n").fullmatch
_SIZE_LINE_BYTES = 10
_LENGTH = re.compile(rb"[0-9]{1,15}").fullmatch


class Length:
    """A body of known length."""

    def __init__(self, length_bytes: int) -> None:
        self.left_bytes = length_bytes

    @property
    def done(self) -> bool:
        """Whether it is complete."""
        return self.left_bytes == 0

    def take(self, data: bytes) -> int:
        """How many of the next bytes belong to it."""
        taken = min(self.left_bytes, len(data))
        self.left_bytes -= taken
        return taken


class Chunks:
    """A chunked body, without extensions and trailers, which none of our clients needs."""

    left_bytes = 0
    """Unknown until the end."""

    def __init__(self) -> None:
        self.done = False
        self._in_chunk = 0
        self._line = b""
        self._expected: bytes | None = None
        """The line that must come next; None for a size."""
        self._last = False

    def take(self, data: bytes) -> int:
        """As `Length.take`. Raises InvalidRequest if it is malformed."""
        position = 0
        while position < len(data) and not self.done:
            if self._in_chunk:
                step = min(self._in_chunk, len(data) - position)
                self._in_chunk -= step
                position += step
                continue
            stop = position + _SIZE_LINE_BYTES - len(self._line)
            end = data.find(b"\n", position, stop) + 1
            piece = data[position : end or stop]
            position += len(piece)
            self._line += piece
            if end:
                self._end_line()
            elif len(self._line) >= _SIZE_LINE_BYTES:
                raise InvalidRequest("Malformed chunked body.")
        return position

    def _end_line(self) -> None:
        line, self._line = self._line, b""
        if self._expected is not None:
            if line != self._expected:
                raise InvalidRequest("Malformed chunked body.")
            self._expected, self.done = None, self._last
            return
        size = _SIZE(line)
        if size is None:
            raise InvalidRequest("Malformed chunked body; extensions are not supported.")
        self._in_chunk = int(size[1], 16)
        self._last = self._in_chunk == 0
        self._expected = b"\r\n"


class UntilClosed:
    """A body that ends with the connection."""

    left_bytes = 0
    done = False

    def take(self, data: bytes) -> int:
        """As `Length.take`."""
        return len(data)


class RequestFrame:
    """A request that is passed on: its head, and where its body ends.

    Fields whose names have an underscore are left out, since WSGI would take them for those with a dash. So is
    `Expect`, which the front obeys. A target with a host of its own (`GET http://host/path`) becomes a path, and its
    host the `Host` (RFC 9112, section 3.2.2): otherwise the backend would judge another one than it serves.
    """

    def __init__(self, head: bytes) -> None:
        """`head` includes the empty line. Raises InvalidRequest, HeadTooLarge, LengthRequired."""
        if len(head) > MAX_HEAD_BYTES:
            raise HeadTooLarge(f"The head of a request may have at most {MAX_HEAD_BYTES} bytes.")
        line, _, block = head.partition(b"\r\n")
        matched = _LINE(line)
        if matched is None or matched[1] == b"CONNECT":
            raise InvalidRequest("Malformed request line.")
        self.method, target = matched[1], matched[2]
        kept, hosts = list[bytes](), list[bytes]()
        lengths, codings, expected = list[bytes](), list[bytes](), list[bytes]()
        specials = {b"content-length": lengths, b"transfer-encoding": codings, b"expect": expected, b"host": hosts}
        absolute = _ABSOLUTE(target)
        if absolute is not None:
            target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
            kept.append(b"Host: " + absolute[1])
        elif target != b"*" and not target.startswith(b"/"):
            raise InvalidRequest("The target of a request is a path, or an http URL.")
        for field in block.split(b"\r\n")[:-2]:
            name, colon, value = field.partition(b":")
            if not colon or not _NAME(name) or _CONTROL(value):
                raise InvalidRequest("Malformed header field.")
            special = specials.get(name.lower())
            if special is not None:
                special.append(value.strip(b" \t").lower())
            is_replaced = special is expected or (special is hosts and absolute is not None)
            if b"_" not in name and not is_replaced:
                kept.append(field)
        if len(hosts) > 1 or (not hosts and absolute is None and matched[3] == b"1"):
            raise InvalidRequest("A request needs exactly one Host.")
        self.head = b"\r\n".join([b"%b %b HTTP/1.%b" % (self.method, target, matched[3]), *kept, b"", b""])
        self.path = target.partition(b"?")[0]
        """Percent-encoded, as it came."""
        self._fields = kept
        self.awaits_continue = expected == [b"100-continue"] and matched[3] == b"1"
        self.length_bytes: int | None
        """The length of the body; None for a chunked one."""
        self.body: Length | Chunks
        if codings:
            if codings != [b"chunked"] or lengths or matched[3] == b"0":
                raise InvalidRequest("The length of the body is ambiguous.")
            self.length_bytes, self.body = None, Chunks()
        else:
            self.length_bytes = _one_length(lengths)
            self.body = Length(self.length_bytes)

    def environ(self, address: str) -> dict[str, str]:
        """The header fields as WSGI spells them, for those who judge a request before the backend sees it."""
        environ = {"REMOTE_ADDR": address, "wsgi.url_scheme": "http"}
        for field in self._fields:
            name, _, value = field.decode("latin-1").partition(":")
            add_field(environ, name, value)
        return environ


def add_field(environ: dict[str, str], name: str, value: str) -> None:
    """Add a header field as WSGI spells it. A repeated one is a list (RFC 9110, section 5.2)."""
    spelled, text = "HTTP_" + name.upper().replace("-", "_"), value.strip(" \t")
    if spelled in environ:
        text = environ[spelled] + ("; " if spelled == "HTTP_COOKIE" else ",") + text
    environ[spelled] = text


class AnswerFrame:
    """Follows the answer of the backend to one request."""

    def __init__(self, method: bytes) -> None:
        self._to_head = method == b"HEAD"
        self._start = b""
        self._body: Length | Chunks | UntilClosed | None = None
        self.closes = False
        """Whether the connection ends with it."""

    @property
    def begun(self) -> bool:
        """Whether any of it was given out."""
        return self._body is not None

    @property
    def done(self) -> bool:
        """Whether it is complete."""
        return self._body is not None and self._body.done

    @property
    def left_bytes(self) -> int:
        """How much of the body is still to come, as far as that is known."""
        return self._body.left_bytes if self._body is not None else 0

    def take(self, data: bytes) -> bytes:
        """What to give to the client after the backend sent `data`. Raises ValueError if this is no answer of ours."""
        body = data
        if self._body is None:
            data = self._start + data
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                if len(data) > _MAX_ANSWER_HEAD_BYTES:
                    raise ValueError("the head of the answer does not end")
                self._start = data
                return b""
            self._body = self._read_head(data[:end])
            body = data[end:]
        try:
            if self._body.take(body) != len(body):
                raise ValueError("the answer does not end where it said")
        except InvalidRequest as error:
            raise ValueError(str(error)) from None
        return data

    def end(self) -> bool:
        """The backend has closed the connection. Returns whether the answer is complete."""
        if isinstance(self._body, UntilClosed):
            self._body.done = True
        return self.done

    def _read_head(self, head: bytes) -> Length | Chunks | UntilClosed:
        line, *lines = head[:-4].split(b"\r\n")
        fields = {name.lower(): value.strip().lower() for name, _, value in (field.partition(b":") for field in lines)}
        status, connection = int(line[9:12]), fields.get(b"connection", b"")
        if status < 200:
            raise ValueError("an interim answer, which nobody asked for")
        self.closes = connection == b"close" or (line.startswith(b"HTTP/1.0") and connection != b"keep-alive")
        if self._to_head or status in (204, 304):
            return Length(0)
        if b"transfer-encoding" in fields:
            return Chunks()
        if b"content-length" in fields:
            return Length(int(fields[b"content-length"]))
        self.closes = True
        return UntilClosed()


def is_hopeless(start: bytes) -> bool:
    """Whether the beginning of a head can never become one: no method, or a line that ends in another way than CRLF."""
    return not _NAME(start[:1]) or start.count(b"\n") != start.count(b"\r\n")


def _one_length(lengths: list[bytes]) -> int:
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH(lengths[0]):
        raise InvalidRequest("Content-Length is not a number of bytes.")
    return int(lengths[0])
