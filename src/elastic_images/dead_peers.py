"""Socket options by which the kernel notices that the other machine is gone without a word.

A machine that lost its power or its network closes no connection: who waits for its answer would wait for the whole of
his patience, a minute for a write. A process that is only slow is not meant: its kernel goes on acknowledging.
"""

from __future__ import annotations

import socket

GONE_SECONDS = 4
"""After so long without any sign of the other machine a connection is given up."""

SocketOptions = list[tuple[int, int, int]]


def dead_peer_options() -> SocketOptions:
    """Level, name and value of each option, as far as the system has them."""
    wanted = {
        # Nothing under way: the kernel asks.
        "TCP_KEEPIDLE": GONE_SECONDS // 2,
        "TCP_KEEPALIVE": GONE_SECONDS // 2,  # the same on macOS
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": GONE_SECONDS // 2,
        # Something under way that is not acknowledged.
        "TCP_USER_TIMEOUT": GONE_SECONDS * 1000,
    }
    known = [(name, value) for name, value in wanted.items() if hasattr(socket, name)]
    return [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, int(getattr(socket, name)), value) for name, value in known),
    ]
