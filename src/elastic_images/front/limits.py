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
    requests_for_all: int = 8
    """How many requests with small bodies the backend may work on at a time before it depends on whose they are. As
    many images, and as many signs of life, beside them."""
    requests_of_a_client: int = 4
    """How many a client may have under way then; more of its requests wait."""
    uploads_for_all: int = 16
    """The same for uploads."""
    uploads_of_a_client: int = 4
    waiting_of_a_client: int = 256
    """How many of a client's requests may wait for the backend, of each kind; further ones are refused. It may have as
    many connections."""
    waiting_seconds: float = 20.0
    """How long each may wait."""
    early_answer_seconds: float = 1.0
    """How long after their request early answers are sent, or a flood would ask again at once."""
    early_answers: int = 256
    """How many wait for that; further ones are sent at once."""
    input_bytes: int = 32_000_000
    """For all heads and bodies that are being collected, or wait for the backend. Beyond it, those that wait because
    their client has others under way are refused, then those that take longest to come are cut off."""
    slow_bytes: int = 96_000_000
    """For all answers that wait for slow readers. Beyond it, the slowest are cut off."""
    arriving_bytes: int = 48_000_000
    """For large answers of other servers that are arriving; further ones wait."""
