"""Limits that keep one client from stopping the others."""

from __future__ import annotations

from dataclasses import dataclass

FORM_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one front. docs/operations.md explains them to operators."""

    connections: int = 8192
    connections_of_a_client: int = 256
    """Applies once half of the connections are taken."""
    requests_in_a_turn: int = 4
    """How many requests of a connection are answered before the next connection has its turn."""
    idle_seconds: float = 90.0
    """How long a connection may wait for its next request, and how long an answer may wait for its reader.

    Longer than load balancers wait (Amazon's 60 s; deploy/aws: 75): the side that sends must be the one that closes
    first, or a request may meet a closed connection."""
    request_seconds: float = 30.0
    """How long a client may take to send a head, and as long again for a form."""
    form_bytes: int = FORM_BYTES
    """The largest body that counts as a form; larger ones are uploads."""
    upload_seconds: float = 10.0
    """How far an upload may fall behind its rate."""
    upload_bytes_per_second: float = 16_384.0
    put_bytes: int | None = None
    """The largest body of a PUT, which is refused before it comes; None: the backend decides."""
    collected_bytes: int = 262_144
    """How much of a body is collected before the backend sees the request, and a thread waits for it."""
    input_bytes: int = 32_000_000
    """For all heads and bodies that are being collected. Beyond it, those that take longest are cut off."""
    slow_bytes: int = 96_000_000
    """For all answers that wait for slow readers. Beyond it, the slowest are cut off."""
    arriving_bytes: int = 48_000_000
    """For large answers of other servers that are arriving; further ones wait."""
