"""Automatic mode: once a minute, read the metrics, decide, record the decision, and act on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from elastic_images.autoscaler.config_store import ConfigStore
from elastic_images.autoscaler.scaling.decisions import DecisionLog
from elastic_images.autoscaler.scaling.window_choice import choose
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.scaling import Decision, ScalingMetrics, ScalingState, decide
from elastic_images.metrics.store import Window
from elastic_images.pool.view import LIVE, PoolView
from elastic_images.process.periodic import PeriodicLoop

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 60.0
PUBLISH_SECONDS = 5.0
"""How often sources publish: data for a window may begin this much before it."""
_SHORTEST_WINDOW_SECONDS = 3 * PUBLISH_SECONDS


class WindowSource(Protocol):
    """The part of `metrics.store.MetricStore` that is needed here."""

    def windows(self, window_seconds: float, now: float, sources: Collection[str]) -> Sequence[Window]:
        """Recent counts of the nodes `sources` and the web processes, newest first. Raises Unavailable."""


class ScalingLoop:
    """Decides every `interval_seconds` in automatic mode. In manual mode it does nothing.

    `step` does one round; tests may call it instead of `start`. A failed round does not end the loop.

    Args:
        config_store: the settings; a decision is carried out by changing the size.
        metrics: the recent counts.
        log: records decisions.
        pool: the pool as it is now.
        resizing: whether a resize is under way or wanted.
        last_resize_at: when the last resize ended, in seconds since the epoch.
        on_decision: called after every recorded decision.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        config_store: ConfigStore,
        metrics: WindowSource,
        log: DecisionLog,
        *,
        pool: Callable[[], PoolView],
        resizing: Callable[[], bool],
        last_resize_at: Callable[[], float | None],
        on_decision: Callable[[Decision], None] = lambda _decision: None,
        interval_seconds: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config_store = config_store
        self._metrics = metrics
        self._log = log
        self._pool = pool
        self._resizing = resizing
        self._last_resize_at = last_resize_at
        self._on_decision = on_decision
        self._window_seconds = max(interval_seconds, _SHORTEST_WINDOW_SECONDS)
        self._clock = clock
        self._loop = PeriodicLoop("scaling", self.step, interval_seconds, delay_seconds=interval_seconds)

    def start(self) -> None:
        """Start the thread; the first decision comes after an interval."""
        self._loop.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """End the thread. Does nothing if it was not started."""
        self._loop.stop(timeout_seconds)

    def step(self) -> Decision | None:
        """Decide and act. None in manual mode, or after a failure, which is recorded instead."""
        try:
            view = self._pool()
            config = self._config_store.of(view.config)
            if config.mode != "auto":
                return None
            return self._decide(view, config)
        except Exception as error:  # noqa: BLE001 - the next round may succeed
            _log.warning("no scaling decision: %s", error, exc_info=not _is_ours(error))
            self._keep_error(error)
            return None

    def _decide(self, view: PoolView, config: ScalingConfig) -> Decision:
        now = self._clock()
        ended_at = self._last_resize_at()
        # A clock that was set back must not stop scaling until it catches up.
        since_resize = None if ended_at is None else abs(now - ended_at)
        metrics, warm_up_seconds = self._measure(view, now, since_resize)
        state = ScalingState(config.num_nodes, self._resizing(), since_resize, warm_up_seconds)
        decision = decide(metrics, config, state)
        self._log.add(decision)
        self._on_decision(decision)
        _log.info("%s: %s", decision.action, decision.reason)
        if decision.action != "hold":
            self._config_store.update({"num_nodes": decision.nodes_after}, cause="by-policy", reason=decision.reason)
        return decision

    def _measure(self, view: PoolView, now: float, since_resize: float | None) -> tuple[ScalingMetrics, float]:
        """The metrics of a window, and how long ago it began: a resize that ended later invalidates it."""
        nodes = self._expected(view, "node", now)
        windows = self._metrics.windows(self._window_seconds, now, nodes)
        choice = choose(windows, nodes, len(self._expected(view, "web", now)), now, since_resize)
        window, rate = choice.window, choice.window.rate
        metrics = ScalingMetrics(
            rate.requests, rate.misses, choice.missing, self._window_seconds, now - window.ended_at
        )
        return metrics, now - window.started_at

    def _expected(self, view: PoolView, kind: str, now: float) -> list[str]:
        """Members that have existed long enough to have reported."""
        return [
            member.id
            for member in view.members
            if member.kind == kind and member.state == LIVE and now - member.registered_at > 2 * PUBLISH_SECONDS
        ]

    def _keep_error(self, error: Exception) -> None:
        try:
            reason = str(error) if _is_ours(error) else f"{type(error).__name__}; see the log"
            self._log.add_error(self._config_store.current().num_nodes, f"Could not decide: {reason}")
        except Exception:  # noqa: BLE001 - the database may be what failed
            _log.warning("the failure could not be recorded either", exc_info=True)


def _is_ours(error: Exception) -> bool:
    return isinstance(error, ElasticImagesError)
