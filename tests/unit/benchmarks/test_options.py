from __future__ import annotations

import pytest
from benchmarks.lib import targets
from benchmarks.lib.options import parse
from benchmarks.lib.scenarios import GROUPS, every_scenario, quick_scenarios


def test_by_default_everything_is_measured_with_pools_of_one_and_eight() -> None:
    options = parse([])
    assert options.scenarios == tuple(every_scenario())
    assert options.targets == targets.ALL
    assert (options.rounds, options.seconds, options.nodes) == (3, 2, (1, 8))


def test_quick_is_short_and_has_something_of_every_group() -> None:
    options = parse(["--quick"])
    assert (options.rounds, options.seconds) == (1, 1)
    assert {scenario.group for scenario in options.scenarios} == set(GROUPS)
    assert options.scenarios == tuple(quick_scenarios())


def test_only_takes_the_scenarios_whose_name_matches() -> None:
    options = parse(["--only", "^read/(hot|64)/1MB/16$"])
    assert [scenario.name for scenario in options.scenarios] == ["read/hot/1MB/16", "read/64/1MB/16"]


def test_the_pool_holds_what_the_near_cache_does_not() -> None:
    options = parse([])
    assert options.working_set_mb > options.near_cache_mb
    assert options.cache_mb > 3 * options.working_set_mb


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "nothing"],
        ["--only", "("],
        ["--rounds", "0"],
        ["--seconds", "x"],
        ["--nodes", "9"],
        ["--target", "x"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_names_of_scenarios_are_unique() -> None:
    names = [scenario.name for scenario in every_scenario()]
    assert len(set(names)) == len(names)
