"""Whether the system is healthy, and if not, why and what to do. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from elastic_images.core.pool_document import NodeDocument
from elastic_images.http.problems import is_ours
from elastic_images.http.readiness import Readiness
from elastic_images.manager.overview import Overview
from elastic_images.ui import shown_count, shown_percent, shown_size

Level = Literal["ok", "busy", "unknown", "warn", "bad"]
_ORDER: tuple[Level, ...] = ("ok", "busy", "unknown", "warn", "bad")
_RESTARTS = "It restarts automatically. If this persists, check the output of elastic-images up."
_READ_ONLY = "Images are still served; uploads fail. If it is the disk, make room on it or delete images."
_MEANINGFUL_REQUESTS = 30
_OVERDUE_SECONDS = 3600.0
"""How long the collector may fail to remove an object, or wait for a backup, before anybody is told."""
_SETTLED_SECONDS = 240.0
"""Metrics from CloudWatch arrive minutes late."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the system."""

    name: str
    level: Level
    words: str
    advice: str = ""
    """What to do; empty if nothing."""

    def to_json(self) -> dict[str, str]:
        """As plain JSON values."""
        return {"name": self.name, "level": self.level, "words": self.words, "advice": self.advice}


def assess(overview: Overview, now: float) -> list[Part]:
    """The health of every part. `now`: seconds since the epoch."""
    return [
        _storage(overview),
        *_uploads(overview),
        *_removals(overview),
        _database(overview),
        _autoscaler(overview),
        _nodes(overview),
        _cache(overview, now),
    ]


def worst(parts: list[Part]) -> Level:
    """The level of the whole system."""
    return max((part.level for part in parts), key=_ORDER.index, default="unknown")


def _storage(overview: Overview) -> Part:
    if overview.usage is None:
        advice = f"Cached images are still served; uploads and everything else fail. {_RESTARTS}"
        return Part("Storage", "bad", overview.storage_error, advice)
    if overview.storage_trouble:
        return Part("Storage", "bad", overview.storage_trouble, "Cached images are still served; uploads fail.")
    images = shown_count(overview.usage["images"], "image")
    words = f"{images}, {shown_size(overview.usage['bytes'])}"
    damaged, lost = overview.usage["damaged"], overview.usage["lost"]
    if damaged or lost:
        advice = "See Images for their keys. Upload them again, or restore them from a backup."
        return Part("Storage", "bad", f"{words}; {damaged} damaged, {lost} lost", advice)
    if not overview.storage:
        return Part("Storage", "ok", words)
    free = min(one["figures"]["free_bytes"] for one in overview.storage)
    words = f"{words}; {shown_size(free)} free"
    unable = [found for one in overview.storage if not (found := Readiness.from_json(one["readiness"])).write]
    if unable:
        return Part("Storage", "bad", f"{words}; not writable. {unable[0].failing}", _READ_ONLY)
    return Part("Storage", "ok", f"{words}; writable")


def _uploads(overview: Overview) -> list[Part]:
    if not overview.storage:
        return []
    reasons: Counter[str] = sum((Counter(one["refused_last_hour"]) for one in overview.storage), Counter())
    if not reasons:
        return [Part("Uploads", "ok", "None refused in the last hour")]
    named = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    words = f"{reasons.total():,} refused in the last hour: {named}"
    if any(is_ours(reason) for reason in reasons):
        return [Part("Uploads", "warn", words, "The log of storage has the first message of each reason.")]
    return [Part("Uploads", "ok", words)]


def _removals(overview: Overview) -> list[Part]:
    overdue = [one["figures"] for one in overview.storage if one["figures"]["collector_oldest"] > _OVERDUE_SECONDS]
    if not overdue:
        return []
    backlog = shown_count(max(one["collector_backlog"] for one in overdue), "deleted object")
    return [Part("Removals", "warn", f"{backlog} not removed yet", "The log of storage says why. It tries again.")]


def _database(overview: Overview) -> Part:
    if overview.database_error is None:
        failures = sum(int(one["figures"].get("database_failures", 0)) for one in overview.storage)
        words = f"; {shown_count(failures, 'request')} failed since storage started" if failures else ""
        return Part("Database", "ok", f"Responding{words}")
    advice = "Logins and writes fail without it, and caches stop serving. Check the setting DATABASE."
    return Part("Database", "bad", overview.database_error, advice)


def _autoscaler(overview: Overview) -> Part:
    if overview.pool is None or overview.config is None:
        return Part(
            "Autoscaler",
            "bad",
            overview.pool_error,
            f"Images are still served; the pool cannot change. {_RESTARTS}",
        )
    if overview.config["mode"] == "manual":
        return Part("Autoscaler", "ok", "Manual mode")
    decision = overview.decision
    if decision and decision["action"] == "error":
        return Part("Autoscaler", "warn", "Automatic mode; the last decision failed", decision["reason"])
    return Part("Autoscaler", "ok", "Automatic mode")


def _nodes(overview: Overview) -> Part:
    if overview.pool is None:
        return Part("Nodes", "unknown", "Unknown while the autoscaler is not responding")
    wanted = overview.pool["wanted"]
    serving = f"{overview.live} of {wanted} serving"
    gone = [node for node in overview.nodes if node["state"] in ("fenced", "dead")]
    if gone:
        advice = "Other nodes take over its partitions, and it restarts automatically within seconds."
        return Part("Nodes", "bad", f"{serving}; {_named(gone)} failed", advice)
    missing = [node for node in overview.nodes if node["slot"] < wanted and node["state"] != "live"]
    if missing:
        words = f"{serving}; {_named(missing)} starting"
        level: Level = "busy" if overview.pool["busy"] else "warn"
        advice = (
            ""
            if level == "busy"
            else "See the events for the reason. It is retried automatically at increasing intervals."
        )
        return Part("Nodes", level, words, advice)
    silent = [node for node in overview.nodes if node["state"] == "live" and not node["stats"]]
    if silent:
        return Part("Nodes", "warn", f"{serving}; no statistics from {_named(silent)}", "It may be overloaded.")
    if overview.pool["phase"] != "settled" or overview.live != wanted:
        return Part("Nodes", "busy", f"{serving}; resizing")
    return Part("Nodes", "ok", serving)


def _cache(overview: Overview, now: float) -> Part:
    if overview.pool is None or overview.config is None:
        return Part("Cache", "unknown", "Unknown while the autoscaler is not responding")
    if overview.rate is None:
        advice = "Images are still served. Automatic mode waits while metrics are missing; charts show a gap."
        return Part("Cache", "unknown", overview.rate_error, advice)
    quiet = [
        node
        for node in overview.nodes
        if node["state"] == "live" and node["id"] not in overview.rate["sources"] and _is_settled(node, now)
    ]
    if quiet:
        advice = "Automatic mode waits while metrics are missing. Charts show a gap."
        return Part("Cache", "warn", f"No metrics from {_named(quiet)} in the last minute", advice)
    miss_rate = overview.rate["miss_rate"]
    if miss_rate is None:
        return Part("Cache", "ok", "No requests in the last minute")
    words = f"Hit rate {shown_percent(1 - miss_rate)} in the last minute"
    config = overview.config
    limit = config["max_miss"]
    is_high = limit is not None and miss_rate > limit and overview.rate["requests"] >= _MEANINGFUL_REQUESTS
    if is_high and config["mode"] == "manual":
        advice = f"The miss rate is above {shown_percent(limit)}. Add nodes or memory, or switch to automatic mode."
        return Part("Cache", "warn", words, advice)
    return Part("Cache", "ok", words)


def _is_settled(node: NodeDocument, now: float) -> bool:
    started_at = node["started_at"]
    return started_at is not None and now - started_at > _SETTLED_SECONDS


def _named(nodes: list[NodeDocument]) -> str:
    names = [str(node["slot"]) for node in nodes]
    return f"node {names[0]}" if len(names) == 1 else f"nodes {', '.join(names[:-1])} and {names[-1]}"
