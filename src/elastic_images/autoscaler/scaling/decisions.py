"""The record of the scaling loop's decisions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Engine

from elastic_images.autoscaler.records import append, newest
from elastic_images.autoscaler.tables import scaling_decisions
from elastic_images.core.pool_document import DecisionRecord
from elastic_images.core.scaling import Decision
from elastic_images.database.engine import write_transaction

_KEEP = 50_000
"""A decision a minute for a month."""


class DecisionLog:
    """Records decisions with their inputs. Safe to share between threads; raises SQLAlchemy's errors."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, decision: Decision) -> None:
        """Record a decision."""
        self._append(
            policy=decision.policy,
            action=decision.action,
            nodes_before=decision.nodes_before,
            nodes_after=decision.nodes_after,
            reason=decision.reason,
            inputs=json.dumps(decision.inputs),
        )

    def add_error(self, nodes: int, reason: str) -> None:
        """Record that no decision was possible."""
        self._append(
            policy="", action="error", nodes_before=nodes, nodes_after=nodes, reason=reason, inputs=json.dumps({})
        )

    def list(self, limit: int, before: int | None = None) -> list[DecisionRecord]:
        """Decisions, newest first."""
        with self._engine.begin() as connection:
            rows = newest(connection, scaling_decisions, limit, before)
        return [cast("DecisionRecord", {**row, "inputs": json.loads(row["inputs"])}) for row in rows]

    def _append(self, **values: Any) -> None:
        with write_transaction(self._engine) as connection:
            append(connection, scaling_decisions, _KEEP, at=self._clock(), **values)
