"""`mv` and `visibility` against a stand-in for web."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.unit.cli.support import TOKEN, FakeSystem, fake_system, run, run_json

from elastic_images.core import errors


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    with fake_system() as system:
        monkeypatch.setenv("ELASTIC_IMAGES_URL", system.url)
        monkeypatch.setenv("ELASTIC_IMAGES_TOKEN", TOKEN)
        system.images = {"a/1": b"1", "a/2": b"2", "a/b/3": b"3", "ab": b"4"}
        yield system


def test_an_image_gets_another_key(web: FakeSystem) -> None:
    assert run_json("mv", "ab", "ü x") == {"moved": [{"key": "ab", "to": "ü x"}], "failed": []}
    assert web.images["ü x"] == b"4"
    assert run("mv", "ab", "c").exit_code == 3
    result = run("mv", "ü x", "a/1")
    assert (result.exit_code, result.stdout) == (6, "")
    assert "ü x: There is an image 'a/1' already." in result.stderr
    assert run("mv", "ü x", "c//d").exit_code == 2
    assert run("mv", "ü x", "ü y").stdout == "ü x -> ü y\n"


def test_all_images_below_a_prefix_get_other_keys(web: FakeSystem) -> None:
    web.images["new/2"] = b"taken"
    web.refuse = {"a/b/3": errors.Forbidden("This image belongs to another user.")}
    result = run("mv", "a/", "new/", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["moved"] == [{"key": "a/1", "to": "new/1"}]
    assert [(one["key"], one["to"], one["error"]) for one in told["failed"]] == [
        ("a/2", "new/2", "conflict"),
        ("a/b/3", "new/b/3", "forbidden"),
    ]
    assert sorted(web.images) == ["a/2", "a/b/3", "ab", "new/1", "new/2"]


def test_a_prefix_may_move_below_itself_and_back(web: FakeSystem) -> None:
    web.images["a/b/1"] = b"5"
    before = dict(web.images)
    assert run("mv", "a/", "a/b/").exit_code == 0
    assert web.images == {"a/b/1": b"1", "a/b/2": b"2", "a/b/b/3": b"3", "a/b/b/1": b"5", "ab": b"4"}
    assert len(run_json("mv", "a/b/", "a/")["moved"]) == 4
    assert web.images == before


@pytest.mark.parametrize("words", [("a/", "new"), ("ab", "new/")])
def test_a_key_does_not_become_a_prefix(web: FakeSystem, words: tuple[str, str]) -> None:
    result = run("mv", *words)
    assert result.exit_code == 2
    assert "end both with a slash" in result.stderr
    assert len(web.images) == 4


def test_who_may_see_an_image(web: FakeSystem) -> None:
    assert run_json("visibility", "ab", "private") == {
        "changed": [{"key": "ab", "visibility": "private"}],
        "failed": [],
    }
    assert web.kept == {"ab": {"visibility": "private"}}
    assert run("visibility", "none", "private").exit_code == 3
    assert run("visibility", "ab", "secret").exit_code == 2


def test_who_may_see_all_images_below_a_prefix(web: FakeSystem) -> None:
    web.kept["a/2"] = {"visibility": "members"}
    result = run("visibility", "a/", "members")
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert result.stdout.splitlines() == ["a/1  members", "a/b/3  members"]
    assert {key for key, facts in web.kept.items() if facts.get("visibility") == "members"} == {"a/1", "a/2", "a/b/3"}
    assert run_json("visibility", "a/", "members") == {"changed": [], "failed": []}
