"""Socket options by which the kernel notices that the other machine is gone.

A machine that lost power or its network closes no connection, so a caller would wait for its whole timeout: a minute
for a write. A process that is merely slow is not affected, because its kernel keeps acknowledging.
"""

from __future__ import annotations

import socket

SocketOptions = list[tuple[int, int, int]]


def dead_peer_options(seconds: int) -> SocketOptions:
    """Level, name and value of each option that this system has.

    A connection breaks after `seconds`, at least 2, without a sign of the other machine; on Linux also if its process
    accepts none of the data that waits to be sent for that long.
    """
    wanted = {
        # Idle: the kernel sends probes.
        "TCP_KEEPIDLE": seconds // 2,
        "TCP_KEEPALIVE": seconds // 2,  # its name on macOS
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": seconds // 2,
        # Data that is not acknowledged.
        "TCP_USER_TIMEOUT": seconds * 1000,
    }
    known = [(name, value) for name, value in wanted.items() if hasattr(socket, name)]
    return [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, int(getattr(socket, name)), value) for name, value in known),
    ]
