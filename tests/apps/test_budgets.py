"""No app loads more than docs/budgets.md allows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testing.loaded import APPS, loaded

TABLE = (Path(__file__).resolve().parents[2] / "docs" / "budgets.md").read_text()
ROWS = {
    name: (int(modules), int(megabytes), frozenset(never.split(", ")))
    for name, modules, megabytes, never in re.findall(
        r"^\| (\w+) \| (\d+) \| (\d+) \| ([\w, ]+) \|$", TABLE, re.MULTILINE
    )
}


def test_every_app_has_a_budget() -> None:
    assert set(ROWS) == set(APPS)


@pytest.mark.parametrize("app", APPS)
def test_an_app_keeps_to_its_budget(app: str) -> None:
    modules, megabytes, never = ROWS[app]
    found = loaded(app)
    assert found.packages & never == set()
    assert found.modules <= modules
    assert found.megabytes <= megabytes


def test_what_is_loaded_is_seen() -> None:
    """The test above could not fail if this were not so."""
    assert {"sqlalchemy", "flask"} <= loaded("storage").packages
