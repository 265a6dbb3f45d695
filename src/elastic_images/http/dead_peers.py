"""Socket options by which the kernel notices that the other machine is gone without a word.

A machine that lost its power or its network closes no connection: who waits for its answer would wait for the whole of
his patience, a minute for a write. A process that is only slow is not meant: its kernel goes on acknowledging.
"""

from __future__ import annotations

import socket

SocketOptions = list[tuple[int, int, int]]


def dead_peer_options(seconds: int) -> SocketOptions:
    """Level, name and value of each option, as far as the system has them.

    A connection is given up after `seconds`, 2 at least, without any sign of the other machine; on Linux also where its
    process takes nothing for so long of what waits to be sent.
    """
    wanted = {
        # Nothing under way: the kernel asks.
        "TCP_KEEPIDLE": seconds // 2,
        "TCP_KEEPALIVE": seconds // 2,  # the same on macOS
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": seconds // 2,
        # Something under way that is not acknowledged.
        "TCP_USER_TIMEOUT": seconds * 1000,
    }
    known = [(name, value) for name, value in wanted.items() if hasattr(socket, name)]
    return [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, int(getattr(socket, name)), value) for name, value in known),
    ]
