from __future__ import annotations

import pytest
from benchmarks.lib import targets
from benchmarks.lib.bench import Result
from benchmarks.lib.facts import first_version, in_one_line
from benchmarks.lib.figures import Cost, Measurement
from benchmarks.lib.goals import goals, goals_table, verdicts
from benchmarks.lib.groups import pool_name
from benchmarks.lib.scenarios import Scenario, every_scenario
from benchmarks.lib.tables import cost_table, group_table, shown_rate, shown_ratio, tables
from benchmarks.lib.wrk import Load


def result(name: str, *, errors: int = 0, **rates: float) -> Result:
    group, keys, size, connections = name.split("/")
    known = {"web": targets.WEB, "node": targets.NODE, "nginx": targets.NGINX, "memcached": targets.MEMCACHED}
    rounds = {
        known.get(target, target.replace("_", " ")): [
            Measurement(Load(int(rate), 1.0, 0, errors, 0.5, 1000 / rate), Cost(0.5, 0.4, 0.0))
        ]
        for target, rate in rates.items()
    }
    return Result(Scenario(group, keys, size, int(connections)), rounds)


def test_a_table_has_rates_tails_and_ratios() -> None:
    table = group_table([result("read/hot/10KB/16", web=40_000, memcached=20_000), result("read/64/10KB/16", web=500)])
    assert table.splitlines() == [
        "| size | keys | connections | web | nginx + memcached | web / nginx + memcached |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| 10KB | one key | 16 | 40.0k (0.0) | 20.0k (0.1) | 2.00 |",
        "| 10KB | 64 keys | 16 | 500 (2.0) | - | - |",
    ]


def test_costs_of_all_results_are_in_one_table() -> None:
    table = cost_table([result("read/hot/10KB/16", web=50_000), result("upload/new/1MB/1", web=100, nginx=5)])
    assert table.splitlines()[2:] == ["| read/hot/10KB/16 | 10 | - |", "| upload/new/1MB/1 | 5000 | 100000 |"]


def test_errors_are_shown_beside_the_rate() -> None:
    assert "| 500 (2.0) 3 errors |" not in group_table([result("read/hot/10KB/1", web=500, errors=3)])
    assert "| 497 (2.0) 3 errors |" in group_table([result("read/hot/10KB/1", web=500, errors=3)])


def test_pools_are_compared_with_the_smallest() -> None:
    table = group_table([result("nodes/hot/10KB/1", **{"1_node": 1000, "8_nodes": 950})])
    assert "8 nodes / 1 node |" in table
    assert "| 0.95 |" in table


def test_every_group_has_a_title_and_every_kind_of_keys_a_name() -> None:
    shown = tables([result(scenario.name, web=1000) for scenario in every_scenario()])
    assert shown.count("### ") == 6


@pytest.mark.parametrize(("rate", "shown"), [(51_734, "51.7k"), (5_912, "5.9k"), (999.4, "999"), (88.4, "88")])
def test_rates_are_shown_short(rate: float, shown: str) -> None:
    assert shown_rate(rate) == shown


def test_a_ratio_that_is_not_there_is_a_dash() -> None:
    assert shown_ratio(None) == "-"
    assert shown_ratio(1.005) == "1.00"


def test_goals_are_reached_enough_or_missed() -> None:
    found = verdicts(
        [
            result("read/hot/10KB/16", web=26_000, memcached=20_000, node=10_000, nginx=20_000),
            result("read/64/10KB/16", web=22_000, memcached=20_000),
            result("read/zipf/10KB/16", web=9_000, memcached=20_000),
        ],
        goals(),
    )
    assert [(verdict.goal.scenario, verdict.word) for verdict in found] == [
        ("read/hot/10KB/16", "reached"),
        ("read/64/10KB/16", "enough"),
        ("read/zipf/10KB/16", "missed"),
        ("read/hot/10KB/16", "missed"),
    ]
    assert "| read/64/10KB/16 | web / nginx + memcached | 1.10 | 1.00 | 1.30 | enough |" in goals_table(found)


def test_a_tail_must_not_be_longer_than_that_of_the_peer() -> None:
    found = verdicts([result("read/hot/1MB/16", web=2_000, memcached=1_000)], goals())
    tails = [verdict for verdict in found if verdict.goal.what.startswith("p99")]
    assert [verdict.figure for verdict in tails] == [pytest.approx(2.0)]


def test_every_goal_is_about_a_scenario_that_is_measured() -> None:
    names = {scenario.name for scenario in every_scenario()}
    assert {goal.scenario for goal in goals()} <= names


def test_pools_are_named_as_people_say() -> None:
    assert [pool_name(1), pool_name(8)] == ["1 node", "8 nodes"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nginx version: nginx/1.22.1\n", "1.22.1"),
        ("memcached 1.6.18", "1.6.18"),
        ("wrk debian/4.1.0-3+b2", "4.1.0"),
        ("", "?"),
    ],
)
def test_versions_are_found_in_what_tools_say(text: str, version: str) -> None:
    assert first_version(text) == version


def test_the_machine_in_one_line() -> None:
    known = dict.fromkeys(
        ["processor", "cores", "memory_gb", "system", "file_system", "python", "granian", "nginx", "memcached", "wrk"],
        "?",
    ) | {"commit": "abc1234", "measured_at": "2026-01-02T03:04:05Z"}
    assert in_one_line(known).endswith("commit abc1234, 2026-01-02")
