"""Who has to leave when many connections are open. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from typing import Protocol, TypeVar

from elastic_images.front.limits import Limits


class Placed(Protocol):
    """An idle connection."""

    @property
    def client(self) -> str | None:
        """Whose it is, by `client_of`; None if its client may have any number."""


Idle = TypeVar("Idle", bound=Placed)


def client_of(address: str) -> str:
    """Whom an address belongs to: of IPv6, one customer mostly has a /64."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def to_close(idle: Iterable[Idle], counts: Counter[str | None], limits: Limits) -> list[Idle]:
    """Which of the idle connections to close, given the longest idle first, and how many each client has in all.

    Once half of the places are taken, a client keeps at most `connections_of_a_client`. Once seven eighths are taken in
    spite of that, the longest idle are closed until a quarter is free; those of exempt clients come last.
    """
    open_ = sum(counts.values())
    if open_ < limits.connections // 2:
        return []
    counts, closing, staying = Counter(counts), list[Idle](), list[Idle]()
    for connection in idle:
        client = connection.client
        if client is not None and counts[client] > limits.connections_of_a_client:
            counts[client] -= 1
            closing.append(connection)
        else:
            staying.append(connection)
    left = open_ - len(closing)
    if left >= limits.connections * 7 // 8:
        staying.sort(key=lambda connection: connection.client is None)  # stable
        closing += staying[: left - limits.connections * 3 // 4]
    return closing
