"""Which of the metrics' windows a decision is based on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from elastic_images.metrics.store import Window


@dataclass(frozen=True, slots=True)
class Choice:
    """A window, and the sources that should have reported in it and did not."""

    window: Window
    missing: tuple[str, ...]


def choose(
    windows: Sequence[Window], nodes: Collection[str], webs: int, now: float, since_resize: float | None
) -> Choice:
    """The newest window in which every source reported, or else the newest.

    A window that began before the last resize ended, `since_resize` seconds ago, describes another pool: it is chosen
    only if there is no other, and then the cooldown applies.

    Args:
        windows: at least one, the newest first.
        nodes: the nodes that must have reported.
        webs: how many web processes must have reported, if the store counts them.
        now: seconds since the epoch.
        since_resize: None before the first resize.
    """
    after = [window for window in windows if since_resize is None or now - window.started_at <= since_resize]
    choices = [Choice(window, _missing(window, nodes, webs)) for window in after or windows[:1]]
    return next((choice for choice in choices if not choice.missing), choices[0])


def _missing(window: Window, nodes: Collection[str], webs: int) -> tuple[str, ...]:
    silent = 0 if window.web_reports is None else webs - window.web_reports
    return (*window.rate.missing(nodes), *([f"{silent} of {webs} web processes"] if silent > 0 else []))
