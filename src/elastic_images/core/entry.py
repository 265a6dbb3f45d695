"""What a cache holds for one key."""

from __future__ import annotations

from email.utils import formatdate

from elastic_images.core.partitions import partition_of
from elastic_images.core.visibility import Visibility

OVERHEAD_BYTES = 1024
"""What an entry counts in addition to its key and its bytes: objects, headers and table slots, rounded up."""

SETTLING_SECONDS = 2.0
"""Last-Modified is left out this long after a change: it cannot tell apart two writes within a second."""

FETCH_SECONDS = 0.0006
"""The processor time that it takes to read an image from storage (see benchmarks/README.md on misses)."""

Headers = list[tuple[str, str]]


class Entry:
    """An image as it is served. Immutable, so safe to share between threads.

    Its headers are built once, here, rather than at each read: as pairs, and as the lines that are sent.
    """

    __slots__ = (
        "body",
        "content_type",
        "cost_seconds",
        "etag",
        "head",
        "headers",
        "key",
        "original",
        "owner_id",
        "partition",
        "settled_at",
        "settled_head",
        "settled_headers",
        "size_bytes",
        "updated_at",
        "version",
        "visibility",
    )

    def __init__(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        etag: str,
        version: int,
        updated_at: float,
        visibility: Visibility,
        owner_id: int | None,
        original: str | None = None,
        cost_seconds: float = FETCH_SECONDS,
        extra_headers: Headers | None = None,
    ) -> None:
        """`etag` is quoted as in the header; `updated_at` is in seconds since 1970; `extra_headers` are sent too.

        `original` is the SHA-256 of a rendition's original; by default this is one, and has it in its ETag. A rendition
        has the visibility and the owner of its original.
        """
        self.key = key
        self.partition = partition_of(key)
        self.body = body
        self.content_type = content_type
        self.etag = etag
        self.cost_seconds = cost_seconds
        """The processor time that it took to get, and would take again."""
        self.original = original or etag.strip('"')
        self.version = version
        self.visibility = visibility
        self.owner_id = owner_id
        self.updated_at = updated_at
        self.size_bytes = len(key.encode()) + len(body) + OVERHEAD_BYTES
        self.settled_at = updated_at + SETTLING_SECONDS
        self.headers: Headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("ETag", etag),
            ("Accept-Ranges", "bytes"),
            *(extra_headers or []),
        ]
        modified = ("Last-Modified", formatdate(int(updated_at), usegmt=True))
        self.settled_headers: Headers = [*self.headers, modified]
        self.head = head_lines(self.headers)
        self.settled_head = self.head + head_lines([modified])

    def headers_at(self, now: float) -> Headers:
        """The headers of a whole answer at the time `now`. Do not change the list."""
        return self.settled_headers if now >= self.settled_at else self.headers

    def head_at(self, now: float) -> bytes:
        """The same headers as lines of an HTTP/1.1 head, line ends included."""
        return self.settled_head if now >= self.settled_at else self.head


def head_lines(headers: Headers) -> bytes:
    """Headers as lines of an HTTP/1.1 head (RFC 9112, section 5), line ends included."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")
