"""A page far behind costs SQLite no more steps than the first: no statement walks there from the beginning."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, event, text
from testing.big_catalog import fill, key

from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.listing import Cursor

ROWS = 12_000
_STEPS = 100


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    fill(engine, ROWS, lambda _: None)
    return Catalog(engine)


def steps(engine: Engine, ask: Callable[[], object]) -> int:
    """How many steps of its virtual machine the database takes, in hundreds."""
    taken: list[None] = []

    def count(connection: object, *_: object) -> None:
        connection.set_progress_handler(lambda: taken.append(None), _STEPS)  # type: ignore[attr-defined]

    ask()
    event.listen(engine, "checkout", count)
    try:
        ask()
    finally:
        event.remove(engine, "checkout", count)
        with engine.connect() as connection:
            connection.connection.driver_connection.set_progress_handler(None, 0)  # type: ignore[union-attr]
    return len(taken)


def deep(number: int, order: str = "key") -> str:
    return Cursor(key(number), 1_700_000_000.0 + number // 3).encode(order)  # type: ignore[arg-type]


def test_the_measure_sees_a_walk(engine: Engine, catalog: Catalog) -> None:
    def walk() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT COUNT(*) FROM images WHERE width > 1")).all()

    assert steps(engine, walk) > 5 * steps(engine, lambda: catalog.list_page(limit=100))


def test_pages_far_behind_cost_what_the_first_costs(engine: Engine, catalog: Catalog) -> None:
    first = steps(engine, lambda: catalog.list_page(limit=100))
    questions: dict[str, Callable[[], object]] = {
        "by key": lambda: catalog.list_page(limit=100, cursor=deep(ROWS - 1001)),
        "of a prefix": lambda: catalog.list_page(limit=100, prefix="album-3/", cursor=deep(7_993)),
        "newest": lambda: catalog.list_page(limit=100, order="newest", cursor=deep(1_000, "newest")),
        "neighbours": lambda: catalog.neighbours(key(7_993), prefix="album-3/"),
        "neighbours among the newest": lambda: catalog.neighbours(key(1_000), order="newest"),
        "counts": catalog.usage,
    }
    taken = {what: steps(engine, ask) for what, ask in questions.items()}
    assert {what: count for what, count in taken.items() if count > 2 * first} == {}
