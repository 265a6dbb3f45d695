"""Keys fall into 16 equal ranges of the MD5 hash: the partition is the first hexadecimal digit.

MD5 (RFC 1321) spreads keys evenly and is available everywhere; nothing here relies on it for security.
"""

from __future__ import annotations

from hashlib import md5

PARTITIONS = 16
ALL_PARTITIONS = frozenset(range(PARTITIONS))


def partition_of(key: str) -> int:
    """The partition of `key`, 0 to 15. `k1` falls into 11 (digit b), `k2` into 6.

    The name of a rendition (`core.renditions`) falls into the partition of its image.
    """
    return md5(key.partition("\0")[0].encode(), usedforsecurity=False).digest()[0] >> 4


def shown_partition(partition: int) -> int:
    """The partition number shown to people, 1 to 16."""
    return partition + 1
