"""Which statements read a whole table, according to the database's query plans."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, event, text

_MARKS = {"sqlite": "'SCAN ", "postgresql": "Seq Scan", "mariadb": "'type': 'ALL'", "mysql": "'type': 'ALL'"}


def explained(engine: Engine, run: Callable[[], object]) -> list[str]:
    """The steps of the query plans of all statements that `run` executes, in the database's own words."""
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        run()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    word = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    plans = []
    with engine.connect() as connection:
        for statement, parameters in seen:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = connection.exec_driver_sql(word + statement, parameters).mappings().all()  # type: ignore[arg-type]
                plans += [f"{statement} => {dict(row)}" for row in rows]
    return plans


def whole_table_reads(engine: Engine, plans: list[str]) -> list[str]:
    """The plans that read a whole table instead of using an index."""
    mark = _MARKS[engine.dialect.name]
    if engine.dialect.name == "sqlite":
        # It uses the same word for following the primary key to the first matching row.
        plans = [plan for plan in plans if "LIMIT" not in plan or ("WHERE" in plan and "IS NOT NULL" not in plan)]
    return [plan for plan in plans if mark in plan and "USING" not in plan.partition(" => ")[2]]


def gather_statistics(engine: Engine, *tables: str) -> None:
    """Update the statistics of the tables, as servers do from time to time. Not on SQLite."""
    if engine.dialect.name == "sqlite":
        return
    names = f" TABLE {', '.join(tables)}" if engine.dialect.name in ("mariadb", "mysql") else ""
    with engine.begin() as connection:
        connection.execute(text("ANALYZE" + names))
