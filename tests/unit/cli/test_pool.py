"""`pool` against a stand-in for the manager."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.cli.support import TOKEN, FakeSystem, fake_system, run, run_json

NODE = {
    "slot": 0,
    "state": "live",
    "address": "127.0.0.1:4000",
    "partitions": [1, 3],
    "stats": {"items": 2, "bytes": 1500, "hits": 7, "misses": 3},
}
STARTING = {"slot": 1, "state": "starting", "address": "127.0.0.1:4001", "partitions": [2], "stats": None}
POOL = {"mode": "auto", "wanted": 2, "map": {"epoch": 5}, "resize": {"to": 2}, "nodes": [NODE, STARTING]}


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    with fake_system() as system:
        monkeypatch.setenv("ELASTIC_IMAGES_MANAGER_URL", system.url)
        monkeypatch.setenv("ELASTIC_IMAGES_TOKEN", TOKEN)
        system.pool = POOL
        yield system


def test_status_shows_each_node(manager: FakeSystem) -> None:
    summary, _, first, second = run("pool", "status").stdout.splitlines()
    assert summary == "auto mode, 2 wanted, epoch 5, a resize is in progress"
    assert first.split() == ["0", "live", "127.0.0.1:4000", "1", "3", "2", "1.5", "kB", "7", "3"]
    assert second.split() == ["1", "starting", "127.0.0.1:4001", "2"]
    assert run_json("pool", "status") == manager.pool
    assert set(manager.tokens[1:]) == {f"Bearer {TOKEN}"}


def test_scale_and_mode_change_one_thing(manager: FakeSystem) -> None:
    assert run_json("pool", "scale", "4")["num_nodes"] == 4
    assert manager.config == {"mode": "manual", "num_nodes": 4, "policy": "LRU"}
    assert "auto" in run("pool", "mode", "auto").stdout
    assert manager.config["mode"] == "auto"


def test_config_shows_or_changes(manager: FakeSystem) -> None:
    assert run_json("pool", "config") == manager.config
    changed = run_json("pool", "config", "--policy", "RR", "--max-miss", "0.4", "--cache-mb", "32")
    assert changed == {"mode": "manual", "num_nodes": 1, "policy": "RR", "max_miss": 0.4, "cache_mb": 32}
    assert run_json("pool", "config", "--assignment", "minimal")["assignment"] == "minimal"


@pytest.mark.parametrize(
    "words",
    [
        ["scale", "0"],
        ["scale", "9"],
        ["scale", "nan"],
        ["scale", "abc"],
        ["mode", "sometimes"],
        ["config", "--policy", "FIFO"],
        ["config", "--assignment", "even"],
        ["config", "--cache-mb", "many"],
    ],
)
def test_what_makes_no_sense_is_not_sent(manager: FakeSystem, words: list[str]) -> None:
    before = dict(manager.config)
    assert run("pool", *words).exit_code == 2
    assert manager.config == before
