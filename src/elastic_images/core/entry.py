"""What a cache holds for one key."""

from __future__ import annotations

from email.utils import formatdate

from elastic_images.core.partitions import partition_of

OVERHEAD_BYTES = 1024
"""What an entry counts beside its key and its bytes: objects, headers and table places, rounded up."""

SETTLING_SECONDS = 2.0
"""For so long after a change there is no Last-Modified: its seconds cannot tell two writes of one second apart."""

Headers = list[tuple[str, str]]


class Entry:
    """An image as it is served. Immutable after it is made, and so safe to share between threads.

    The headers are made here, once, and not when the entry is read.
    """

    __slots__ = (
        "body",
        "content_type",
        "etag",
        "headers",
        "key",
        "partition",
        "settled_at",
        "settled_headers",
        "size_bytes",
        "updated_at",
        "version",
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
        extra_headers: Headers | None = None,
    ) -> None:
        """`etag` is quoted as in the header; `updated_at` is in seconds since the epoch; `extra_headers` go out too."""
        self.key = key
        self.partition = partition_of(key)
        self.body = body
        self.content_type = content_type
        self.etag = etag
        self.version = version
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
        self.settled_headers: Headers = [*self.headers, ("Last-Modified", formatdate(int(updated_at), usegmt=True))]

    def headers_at(self, now: float) -> Headers:
        """The headers of a whole answer at the time `now`; the caller must not change the list."""
        return self.settled_headers if now >= self.settled_at else self.headers
