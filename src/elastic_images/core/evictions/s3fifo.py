"""S3-FIFO.

J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

_SMALL_SHARE = 0.1
_PROMOTED_AT = 2
_MOST_USES = 3
_RANKS = _MOST_USES + 1
"""How many ranks each queue has."""


class _Item:
    """A key's size, and how often it was used since it came into its queue, at most `_MOST_USES`."""

    __slots__ = ("size_bytes", "uses")

    def __init__(self, size_bytes: int, uses: int = 0) -> None:
        self.size_bytes = size_bytes
        self.uses = uses


class _Queue(OrderedDict[str, _Item]):
    """Keys in the order in which they came, and their bytes together."""

    size_bytes = 0

    def enter(self, key: str, item: _Item) -> None:
        """Add a new key at the end."""
        self[key] = item
        self.size_bytes += item.size_bytes

    def leave(self, key: str) -> _Item | None:
        """Take a key out, if it is there."""
        item = self.pop(key, None)
        if item is not None:
            self.size_bytes -= item.size_bytes
        return item

    def oldest(self) -> tuple[str, _Item]:
        """The first of the queue."""
        return next(iter(self.items()))


class S3FifoOrder:
    """New keys enter a small queue; those used twice there, or seen again soon after, a main queue, which is a clock.

    A rank is the number of uses in the queue, greater by `_RANKS` in the main queue.
    """

    ranks = True

    def __init__(self) -> None:
        self._small, self._main = _Queue(), _Queue()
        self._ghosts = _Queue()
        """Keys that were evicted from the small queue lately."""
        self._main_bytes = 0.0
        """The share of the main queue."""

    def add(self, key: str, size_bytes: int, cost_seconds: float, now: float) -> None:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        queue = self._small if self._ghosts.leave(key) is None else self._main
        queue.enter(key, _Item(size_bytes))

    def add_ranked(self, key: str, size_bytes: int, cost_seconds: float, rank: float) -> None:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        self._ghosts.leave(key)
        rank = min(max(int(rank), 0), 2 * _RANKS - 1)
        (self._main if rank >= _RANKS else self._small).enter(key, _Item(size_bytes, rank % _RANKS))

    def touch(self, key: str, now: float) -> None:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        item = self._small.get(key) or self._main[key]
        if item.uses < _MOST_USES:
            item.uses += 1

    def remove(self, key: str) -> None:
        """See `EvictionOrder`."""
        if self._small.leave(key) is None and self._main.leave(key) is None:
            raise KeyError(key)

    def victim(self) -> str:
        """See `EvictionOrder`. Moves keys that were used on to the end of the main queue."""
        while self._small or self._main:
            if self._main.size_bytes > self._main_bytes or not self._small:
                key, item = self._main.oldest()
                if not item.uses:
                    return key
                item.uses -= 1
                self._main.move_to_end(key)
                continue
            key, item = self._small.oldest()
            if item.uses < _PROMOTED_AT:
                self._remember(key, item)
                return key
            self._small.leave(key)
            self._main.enter(key, _Item(item.size_bytes))
        raise KeyError("no key to evict")

    def ranked(self) -> list[tuple[str, float]]:
        """See `EvictionOrder`."""
        queues = ((0, self._small), (_RANKS, self._main))
        return [(key, float(base + item.uses)) for base, queue in queues for key, item in reversed(queue.items())]

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`. Each rank that is reached costs a look at its queue."""
        for base, queue in ((0, self._small), (_RANKS, self._main)):
            for uses in range(_RANKS):
                yield from ((key, float(base + uses)) for key, item in queue.items() if item.uses == uses)

    def shared_rank(self, rank: float, now: float) -> float:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        return rank

    local_rank = shared_rank

    def set_capacity(self, size_bytes: int) -> None:
        """See `EvictionOrder`."""
        self._main_bytes = (1 - _SMALL_SHARE) * size_bytes

    def _remember(self, key: str, item: _Item) -> None:
        self._ghosts.leave(key)
        self._ghosts.enter(key, _Item(item.size_bytes))
        while self._ghosts.size_bytes > self._main_bytes:
            self._ghosts.leave(self._ghosts.oldest()[0])
