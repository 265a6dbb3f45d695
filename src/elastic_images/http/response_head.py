"""The head of a response from one of our own servers, which always send HTTP/1.1 with a Content-Length.

Every read that leaves its process is parsed here, so the parser does no more than those servers need.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 1_000_000_000
"""The largest value of `max_image_bytes`: a response that announces more is not ours."""
_AFTER_STATUS = (b" ", b"\r", b"")
_WITHOUT_BODY = (204, 304)


class ResponseHead(NamedTuple):
    """What precedes the body."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body_bytes: int
    keeps_connection: bool


def parse_response_head(head: bytes, *, to_head: bool = False) -> ResponseHead:
    """Parse a head without its empty line; `to_head` says that the request was a HEAD.

    Raises ValueError or LookupError if it is not HTTP/1.1 or has no usable length.
    """
    if not head.startswith(b"HTTP/1.1 ") or head[12:13] not in _AFTER_STATUS:
        raise ValueError("not an HTTP/1.1 response")
    status = int(head[9:12])
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:  # a loop is faster than a comprehension here
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a header line without a colon")
        headers[name.lower()] = value.strip(" \t")
    if "transfer-encoding" in headers:
        raise ValueError("a body without a length")
    length = 0 if to_head or status in _WITHOUT_BODY else int(headers["content-length"])
    if not 0 <= length <= MAX_BODY_BYTES:
        raise ValueError("a body of a length that no response of ours has")
    return ResponseHead(status, headers, length, "close" not in headers.get("connection", "").lower())
