"""Caches that break one clause of the fill rule each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.core.partitions import ALL_PARTITIONS, partition_of
from elastic_images.core.pool_map import PoolMap


class JoinsSpoiledFills(CoherentCache):
    def _spoil(self, key: str) -> None:
        fill = self._fills.get(key)
        if fill is not None:
            fill.spoiled = True


class SpoilsNoFills(CoherentCache):
    def _spoil(self, key: str) -> None:
        self._fills.pop(key, None)


class DropsNoEntries(CoherentCache):
    def invalidate_keys(self, incarnation: str, keys: Iterable[str]) -> int:  # noqa: ARG002 - broken on purpose
        for key in keys:
            self._spoil(key)
        return 0


class RegistersNoFills(CoherentCache):
    """A fill that is registered only when its source was read comes to the same."""

    def _register(self, key: str, partition: int) -> Fill:
        return Fill(key, partition)


class EndsTheFillOfAnother(CoherentCache):
    def _unregister(self, fill: Fill) -> None:
        self._fills.pop(fill.key, None)


class ChecksThenInserts(CoherentCache):
    between: Callable[[], None] = staticmethod(lambda: None)

    def complete_fill(self, fill: Fill, entry: Entry) -> bool:
        with self._lock:
            spoiled = fill.spoiled
            self._unregister(fill)
        self.between()
        with self._lock:
            kept = not spoiled and self._cache.put(entry)
        fill.resolve(entry)
        return kept


class AnswersWithoutLease(CoherentCache):
    def lookup_or_begin_fill(self, key: str) -> Entry | FillTicket | Refusal:
        entry = self._cache.peek(key)
        return entry if entry is not None else super().lookup_or_begin_fill(key)


class HitsWithoutLease(CoherentCache):
    def lookup(self, key: str) -> Entry | None:
        return self._cache.peek(key)


class GivesPeersWithoutLease(CoherentCache):
    def peek(self, key: str) -> Entry | Refusal | None:
        return self._cache.peek(key)


class ObeysOnlyWithLease(CoherentCache):
    def invalidate_keys(self, incarnation: str, keys: Iterable[str]) -> int:
        return 0 if self.dark else super().invalidate_keys(incarnation, keys)


class RenewsInsteadOfClearing(CoherentCache):
    def start_incarnation(self, incarnation: str) -> None:
        self.incarnation = incarnation


class KeepsFillsWhenReborn(CoherentCache):
    def start_incarnation(self, incarnation: str) -> None:
        under_way, self._fills = self._fills, {}
        super().start_incarnation(incarnation)
        self._fills = under_way


class IgnoresOwnership(CoherentCache):
    def take_map(self, pool_map: PoolMap | None) -> None:
        super().take_map(pool_map)
        self._served = ALL_PARTITIONS


class KeepsWhatIsLost(CoherentCache):
    def take_map(self, pool_map: PoolMap | None) -> None:
        if pool_map is not None and self._slot is not None and pool_map.epoch > self.epoch:
            self._map, self._served = pool_map, pool_map.served_by(self._slot)


class KeepsFillsOfWhatIsLost(CoherentCache):
    def take_map(self, pool_map: PoolMap | None) -> None:
        under_way, self._fills = self._fills, {}
        super().take_map(pool_map)
        self._fills = under_way


class GoesBack(CoherentCache):
    def take_map(self, pool_map: PoolMap | None) -> None:
        self._map = None
        super().take_map(pool_map)


class PullsByAnyMap(CoherentCache):
    def begin_pull_fill(self, key: str, epoch: int) -> Fill | None:  # noqa: ARG002 - broken on purpose
        with self._lock:
            return self._register(key, partition_of(key))


class DropsNoRenditions(CoherentCache):
    def invalidate_keys(self, incarnation: str, keys: Iterable[str]) -> int:  # noqa: ARG002 - broken on purpose
        for key in keys:
            self._cache.remove(key)
            for name in self._filled_names.of(key):
                self._spoil(name)
        return 0


class FindsNoFillsOfRenditions(CoherentCache):
    def _register(self, key: str, partition: int) -> Fill:
        fill = super()._register(key, partition)
        self._filled_names.discard(key)
        return fill


class KeepsSpoiledOriginalsOfRenditions(CoherentCache):
    def complete_fill(self, fill: Fill, entry: Entry) -> bool:
        if fill.unasked:
            fill.spoiled = False
        return super().complete_fill(fill, entry)
