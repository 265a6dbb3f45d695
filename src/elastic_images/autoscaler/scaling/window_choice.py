"""Which of the windows that the metrics offer a decision is taken by. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from elastic_images.metrics.store import Window


@dataclass(frozen=True, slots=True)
class Choice:
    """A window, and who should have reported in it and did not."""

    window: Window
    missing: tuple[str, ...]


def choose(
    windows: Sequence[Window], nodes: Collection[str], webs: int, now: float, since_resize: float | None
) -> Choice:
    """The newest window in which everyone reported; the newest of all where there is none.

    A window that began before the last resize ended, `since_resize` seconds ago, tells of another pool: it is taken
    only where there is no other, and then the pool warms up.

    Args:
        windows: at least one, the newest first.
        nodes: who must have reported.
        webs: how many web processes must have, where the store counts them.
        now: seconds since the epoch.
        since_resize: None where there was none.
    """
    after = [window for window in windows if since_resize is None or now - window.started_at <= since_resize]
    choices = [Choice(window, _missing(window, nodes, webs)) for window in after or windows[:1]]
    return next((choice for choice in choices if not choice.missing), choices[0])


def _missing(window: Window, nodes: Collection[str], webs: int) -> tuple[str, ...]:
    silent = 0 if window.web_reports is None else webs - window.web_reports
    return (*window.rate.missing(nodes), *([f"{silent} of {webs} web processes"] if silent > 0 else []))
