"""S3 services that lack something, as proxies in front of one that lacks nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from testing.fault_proxy import FaultProxy, fault_proxy

if TYPE_CHECKING:
    from testing.fault_proxy import _Handler

Lack = Callable[["_Handler"], "tuple[int, str] | None"]
"""Judges one request: the status and the error code of the refusal, None to pass it on."""


def no_checksum_headers(handler: _Handler) -> tuple[int, str] | None:
    """As Backblaze B2 documents it: any `x-amz-checksum-*`, `x-amz-sdk-checksum-*` or trailer is refused."""
    lower = [name.lower() for name in handler.headers]
    new = any(name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer")) for name in lower)
    return (400, "InvalidArgument") if new or "aws-chunked" in handler.headers.get("Content-Encoding", "") else None


def no_batches_without_md5(handler: _Handler) -> tuple[int, str] | None:
    """As older MinIO and others: DeleteObjects needs Content-MD5."""
    batch = handler.command == "POST" and "?delete" in handler.path
    return (400, "MissingContentMD5") if batch and "Content-MD5" not in handler.headers else None


def no_batches(handler: _Handler) -> tuple[int, str] | None:
    """There is no DeleteObjects."""
    return (501, "NotImplemented") if handler.command == "POST" and "?delete" in handler.path else None


def no_conditional_writes(handler: _Handler) -> tuple[int, str] | None:
    """As Amazon's before August 2024: a header that the service does not know is an error."""
    return (501, "NotImplemented") if handler.command != "GET" and "If-None-Match" in handler.headers else None


def ignored_conditions(handler: _Handler) -> tuple[int, str] | None:
    """The header is not read. The server behind must not check signatures, for it is signed."""
    del handler.headers["If-None-Match"]
    return None


@contextlib.contextmanager
def lacking_service(target: str, *lacks: Lack) -> Iterator[FaultProxy]:
    """The server at the URL `target`, as a service that lacks all of these."""

    def serve(handler: _Handler, body: bytes) -> None:
        for lack in lacks:
            if refusal := lack(handler):
                status, code = refusal
                text = f"<Error><Code>{code}</Code><Message>Not here.</Message></Error>"
                handler.reply(status, [("Content-Type", "application/xml")], text.encode())
                return
        handler.pass_on(body)

    with fault_proxy(target) as proxy:
        for method in ("PUT", "POST", "GET", "HEAD", "DELETE"):
            proxy.put_in_the_way(method, serve, times=1_000_000)
        yield proxy
