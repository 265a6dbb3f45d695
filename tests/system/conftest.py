"""Fixtures of the system tests: a system shared by a module, systems of a test's own, photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testing.photographs import Photograph, photographs
from testing.system import System, running

StartSystem = Callable[..., System]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One system with the defaults, shared by the tests of a module: each keeps to keys of its own."""
    with running(tmp_path_factory.mktemp("system")) as started:
        yield started


@pytest.fixture
def start_system(tmp_path: Path) -> Iterator[StartSystem]:
    """Starts systems of the test's own, with settings by keyword; all are stopped at its end."""
    with ExitStack() as stack:
        count = iter(range(100))

        def start(**settings: object) -> System:
            return stack.enter_context(running(tmp_path / f"system-{next(count)}", **settings))

        yield start


@pytest.fixture(scope="session")
def five_hundred() -> tuple[Photograph, ...]:
    """500 photographs, no two alike."""
    return photographs(500)


@pytest.fixture(scope="session")
def few() -> tuple[Photograph, ...]:
    """The first 24 of them."""
    return photographs(24)
