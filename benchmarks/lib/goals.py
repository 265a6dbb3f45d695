"""The promised figures, and whether they were reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.lib import targets
from benchmarks.lib.bench import Result
from benchmarks.lib.figures import median_p99_ms, median_rate, ratio


class Goal(NamedTuple):
    """A figure of one scenario, with the minimum it must reach and the goal."""

    scenario: str
    what: str
    figure: Callable[[Result], float | None]
    least: float
    goal: float


class Verdict(NamedTuple):
    """A goal with its figure."""

    goal: Goal
    figure: float

    @property
    def word(self) -> str:
        """`reached`, `enough` or `missed`."""
        if self.figure >= self.goal.goal:
            return "reached"
        return "enough" if self.figure >= self.goal.least else "missed"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "scenario": self.goal.scenario,
            "what": self.goal.what,
            "figure": round(self.figure, 3),
            "least": self.goal.least,
            "goal": self.goal.goal,
            "verdict": self.word,
        }


def _ratio(over: str, under: str) -> Callable[[Result], float | None]:
    return lambda result: ratio(result.rounds, over, under)


def _p99_ratio(slow: str, fast: str) -> Callable[[Result], float | None]:
    def figure(result: Result) -> float | None:
        if slow not in result.rounds or fast not in result.rounds:
            return None
        return median_p99_ms(result.rounds[slow]) / max(median_p99_ms(result.rounds[fast]), 1e-3)

    return figure


def _rate(name: str) -> Callable[[Result], float | None]:
    return lambda result: median_rate(result.rounds[name]) if name in result.rounds else None


def goals(nodes: Sequence[int] = (1, 8)) -> list[Goal]:
    """All goals; `nodes` are the pool sizes that were compared."""
    web, node, nginx, memcached = targets.WEB, targets.NODE, targets.NGINX, targets.MEMCACHED
    wanted = []
    for size, least in (("10KB", 1.0), ("100KB", 1.2), ("1MB", 1.3)):
        for keys in ("hot", "64"):
            name = f"read/{keys}/{size}/16"
            wanted.append(Goal(name, f"{web} / {memcached}", _ratio(web, memcached), least, 1.3))
            if size != "10KB":
                wanted.append(Goal(name, f"p99 of {memcached} / {web}", _p99_ratio(memcached, web), 1.0, 1.0))
        wanted.append(Goal(f"read/zipf/{size}/16", f"{web} / {memcached}", _ratio(web, memcached), 0.5, 0.7))
    wanted += [
        Goal("read/hot/10KB/16", f"{node} / {nginx}", _ratio(node, nginx), 0.9, 0.9),
        Goal("read/hot/1MB/16", f"{node} / {nginx}", _ratio(node, nginx), 1.0, 1.0),
        Goal("miss/walk/10KB/16", f"{web}, a second", _rate(web), 2000, 2000),
        Goal("miss/walk/10KB/16", f"{node}, a second", _rate(node), 2000, 2000),
        *(
            Goal("private/hot/10KB/16", f"{who} / {targets.PUBLIC}", _ratio(who, targets.PUBLIC), 0.7, 0.9)
            for who in (targets.TOKEN, targets.SESSION, targets.LINK, targets.TOKENS)
        ),
        Goal("upload/new/100KB/16", f"{web} / {targets.PLAIN}", _ratio(web, targets.PLAIN), 0.5, 0.5),
        Goal("upload/new/100KB/16", f"{web} / {targets.SEAWEEDFS}", _ratio(web, targets.SEAWEEDFS), 0.3, 0.3),
    ]
    few, *more = [f"{number} node" if number == 1 else f"{number} nodes" for number in nodes]
    for many in more:
        for keys, size, connections in (
            (k, s, c) for k in ("hot", "zipf") for s in ("10KB", "100KB", "1MB") for c in (1, 16)
        ):
            wanted.append(Goal(f"nodes/{keys}/{size}/{connections}", f"{many} / {few}", _ratio(many, few), 0.9, 0.9))
    return wanted


def verdicts(results: Sequence[Result], wanted: Sequence[Goal]) -> list[Verdict]:
    """The verdicts on the goals whose scenario was measured."""
    by_name = {result.scenario.name: result for result in results}
    found = []
    for goal in wanted:
        result = by_name.get(goal.scenario)
        figure = goal.figure(result) if result else None
        if figure is not None:
            found.append(Verdict(goal, figure))
    return found


def goals_table(found: Sequence[Verdict]) -> str:
    """The verdicts as a Markdown table."""
    lines = ["| scenario | what | figure | least | goal | |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for verdict in found:
        goal = verdict.goal
        shown = [
            f"{number:,.0f}" if goal.least >= 100 else f"{number:.2f}"
            for number in (verdict.figure, goal.least, goal.goal)
        ]
        lines.append(f"| {goal.scenario} | {goal.what} | {' | '.join(shown)} | {verdict.word} |")
    return "\n".join(lines) + "\n"
