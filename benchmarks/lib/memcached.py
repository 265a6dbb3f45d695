"""Puts images into memcached by its text protocol, over a plain socket."""

from __future__ import annotations

import socket
from collections.abc import Iterable


class StoreFailed(Exception):
    """memcached did not keep a value."""


def store(port: int, values: Iterable[tuple[str, bytes]]) -> int:
    """Store every key with its value on 127.0.0.1; how many they were. Raises StoreFailed."""
    count = 0
    with socket.create_connection(("127.0.0.1", port), 10) as connection, connection.makefile("rb") as answers:
        for key, value in values:
            connection.sendall(set_command(key, value))
            answer = answers.readline()
            if answer != b"STORED\r\n":
                raise StoreFailed(f"{key}: {answer!r}")
            count += 1
    return count


def set_command(key: str, value: bytes) -> bytes:
    """The bytes that store a value for good. Raises ValueError for what is no key of memcached."""
    if not (0 < len(key) <= 250 and key.isascii() and key.isprintable() and " " not in key):
        raise ValueError(f"no key for memcached: {key!r}")
    return b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value)
