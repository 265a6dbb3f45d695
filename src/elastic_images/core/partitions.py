"""Keys fall in 16 equal ranges of the MD5 hash: the partition is the hash's first hexadecimal digit.

MD5 (RFC 1321) spreads keys evenly and is the same everywhere; it protects nothing here.
"""

from __future__ import annotations

from hashlib import md5

PARTITIONS = 16


def partition_of(key: str) -> int:
    """The partition of `key`, 0 to 15. `k1` falls in 11 (digit b), `k2` in 6.

    A rendition's name (`core.renditions`) gives the partition of its image.
    """
    return md5(key.partition("\0")[0].encode(), usedforsecurity=False).digest()[0] >> 4


def shown_partition(partition: int) -> int:
    """The partition as people see it, 1 to 16."""
    return partition + 1
