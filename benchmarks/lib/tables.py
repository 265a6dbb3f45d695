"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.lib import targets
from benchmarks.lib.bench import Result
from benchmarks.lib.figures import Measurement, median_p99_ms, median_rate, ratio

_TITLES = {
    "read": "Cached images a second (99th percentile in ms)",
    "304": "`304 Not Modified` a second (99th percentile in ms)",
    "private": "Images that not everybody may see, a second (99th percentile in ms)",
    "upload": "Uploads a second (99th percentile in ms)",
    "nodes": "Images a second through `web`, by the size of the pool (99th percentile in ms)",
    "miss": "Images a second that no cache holds (99th percentile in ms)",
}
_KEYS = {
    "hot": "one key",
    "64": "64 keys",
    "zipf": "Zipf, more than the near cache holds",
    "walk": "each key in turn",
    "new": "new keys",
}
_RATIOS = (
    (targets.TOKEN, targets.PUBLIC),
    (targets.SESSION, targets.PUBLIC),
    (targets.LINK, targets.PUBLIC),
    (targets.TOKENS, targets.PUBLIC),
    (targets.WEB, targets.MEMCACHED),
    (targets.NODE, targets.NGINX),
    (targets.WEB, targets.FLASK),
    (targets.WEB, targets.PLAIN),
    (targets.WEB, targets.SEAWEEDFS),
)


def tables(results: Sequence[Result]) -> str:
    """A table for each group, in the order of the results."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.scenario.group, []).append(result)
    return "\n".join(f"### {_TITLES[group]}\n\n{group_table(members)}" for group, members in groups.items())


def cost_table(results: Sequence[Result]) -> str:
    """What an answer cost each target in microseconds of processor time, for all results."""
    names = list(dict.fromkeys(name for result in results for name in result.rounds))
    lines = [_line(["scenario", *names]), _line(["---"] + ["---:"] * len(names))]
    for result in results:
        costs = [_cost(result.rounds[name]) if name in result.rounds else "-" for name in names]
        lines.append(_line([result.scenario.name, *costs]))
    return "\n".join(lines) + "\n"


def group_table(results: Sequence[Result]) -> str:
    """One table: a row for each result, a column for each target that any of them has, and the ratios."""
    names = list(dict.fromkeys(name for result in results for name in result.rounds))
    pairs = [pair for pair in _pairs(names) if any(ratio(result.rounds, *pair) is not None for result in results)]
    header = ["size", "keys", "connections", *names, *(f"{over} / {under}" for over, under in pairs)]
    lines = [_line(header), _line(["---", "---"] + ["---:"] * (len(header) - 2))]
    for result in results:
        scenario = result.scenario
        cells = [_cell(result, name) for name in names]
        ratios = [shown_ratio(ratio(result.rounds, *pair)) for pair in pairs]
        lines.append(_line([scenario.size, _KEYS[scenario.keys], str(scenario.connections), *cells, *ratios]))
    return "\n".join(lines) + "\n"


def shown_rate(rate: float) -> str:
    """51,734 as `51.7k`, 5,912 as `5.9k`, 88.4 as `88`."""
    return f"{rate / 1000:.1f}k" if rate >= 1000 else f"{rate:.0f}"


def shown_ratio(value: float | None) -> str:
    """Two decimals, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    pools = [name for name in names if name.endswith(("node", "nodes")) and name != targets.NODE]
    return [*_RATIOS, *((other, pools[0]) for other in pools[1:])]


def _cell(result: Result, name: str) -> str:
    measured = result.rounds.get(name)
    if not measured:
        return "-"
    errors = sum(one.load.errors for one in measured)
    shown = f"{shown_rate(median_rate(measured))} ({median_p99_ms(measured):.1f})"
    return f"{shown} {errors} errors" if errors else shown


def _cost(measured: Sequence[Measurement]) -> str:
    return f"{median(one.server_microseconds for one in measured):.0f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
