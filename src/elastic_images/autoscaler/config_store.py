"""The pool's settings, stored with the pool in the database; nodes get them when they poll."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from elastic_images.autoscaler.journal import Journal
from elastic_images.core.assignment import ASSIGNMENTS, MAX_NODES, MIN_NODES
from elastic_images.core.events import Cause, Event, SettingChange
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.pool.store import PoolStore

_log = logging.getLogger(__name__)


class ConfigStore:
    """Reads and changes the stored settings, as their only writer. Safe to share between threads.

    Args:
        first: stored if there are no settings yet.
        on_change: called after each change, once it is stored.
    """

    def __init__(
        self, store: PoolStore, journal: Journal, first: ScalingConfig, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._journal = journal
        self._first = first
        self.on_change = on_change
        self._lock = threading.Lock()

    def current(self) -> ScalingConfig:
        """The stored settings. Raises SQLAlchemy's errors."""
        return kept_config(self._store.read().config, self._first)

    def of(self, kept: Mapping[str, Any]) -> ScalingConfig:
        """The settings in a `PoolView.config`."""
        return kept_config(kept, self._first)

    def keep_first(self) -> None:
        """Store the first settings if there are none."""
        with self._lock:
            if not self._store.read().config:
                self._keep(self._first, Event("config-changed", cause="first-settings"))

    def update(self, changes: Mapping[str, object], *, cause: Cause = "by-hand", reason: str = "") -> ScalingConfig:
        """Change some settings, all or nothing, and return all of them. `cause` and `reason` go into the event.

        Raises:
            InvalidRequest: see `ScalingConfig.merge`; nothing has changed.
        """
        with self._lock:
            before = self.current()
            after = before.merge(changes)
            if after == before:
                return before
            event = Event("config-changed", cause=cause, reason=reason, changes=_differences(before, after))
            self._keep(after, event)
        self.on_change()
        return after

    def _keep(self, config: ScalingConfig, event: Event) -> None:
        self._store.set_config(
            {**config.to_json(), "cache_bytes": config.cache_bytes},
            lambda connection: self._journal.add(connection, [event]),
        )


def _differences(before: ScalingConfig, after: ScalingConfig) -> dict[str, SettingChange]:
    values = [(one.name, getattr(before, one.name), getattr(after, one.name)) for one in fields(ScalingConfig)]
    return {name: {"before": old, "after": new} for name, old, new in values if old != new}


def kept_config(kept: Mapping[str, Any], first: ScalingConfig) -> ScalingConfig:
    """The stored settings, read leniently: a value of the wrong type is replaced by that of `first`.

    The loops keep working whatever someone wrote into the database by hand. A nan stays: the scaling policy refuses
    it. The size is always 1 to 8.
    """
    values: dict[str, Any] = {}
    for setting in fields(ScalingConfig):
        default = getattr(first, setting.name)
        try:
            values[setting.name] = type(default)(kept.get(setting.name, default))
        except (TypeError, ValueError, OverflowError):
            _log.warning("stored setting %s is unreadable; using %r", setting.name, default)
            values[setting.name] = default
    if values["assignment"] not in ASSIGNMENTS:
        values["assignment"] = first.assignment
    config = replace(first, **values)
    return replace(config, num_nodes=min(max(config.num_nodes, MIN_NODES), MAX_NODES))
