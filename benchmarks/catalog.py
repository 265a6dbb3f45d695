"""A big catalog: how long listings, counts and reads take at a million images, and while all are deleted.

    python -m benchmarks.catalog [--rows 1000000] [--database sqlite --database mariadb ...] [--json FILE]

Each database is made here, on this machine, and filled by bulk inserts: rows alone, no bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from testing.big_catalog import fill
from testing.database_servers import mariadb, postgresql

from benchmarks.lib.catalog_figures import Figure, delete_all, measure
from benchmarks.lib.facts import facts
from elastic_images.database.engine import open_engine

LISTED_MS = {"sqlite": 10.0, "mariadb": 20.0, "postgresql": 20.0}
"""What was promised: the 95th percentile of any page."""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="catalog-", dir=options.folder) as name:
        folder = Path(name)
        figures = {"facts": facts(folder), "rows": options.rows, "databases": {}}
        for database in options.database or list(DATABASES):
            with DATABASES[database](folder) as url:
                found = measured(open_engine(url), options)
            print(table(database, options.rows, found), flush=True)
            figures["databases"][database] = [figure.to_json() for figure in found]
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def measured(engine: Engine, options: argparse.Namespace) -> list[Figure]:
    """Fill a database and measure it."""
    say(f"{engine.dialect.name}: inserting {options.rows:,} images")
    began = time.perf_counter()
    fill(engine, options.rows, lambda done: say(f"{done:,}"))
    say(f"filled in {time.perf_counter() - began:.0f} s; {options.pages} of each kind of question")
    try:
        return [*measure(engine, options.rows, options.pages), *delete_all(engine, options.deleted, options.rows)]
    finally:
        engine.dispose()


def table(database: str, rows: int, figures: list[Figure]) -> str:
    """A database's figures as a Markdown table."""
    lines = [
        f"### {database}, {rows:,} images\n",
        "| what | median | 95th percentile | most | |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for figure in figures:
        bound = LISTED_MS[database] if figure.listing else None
        verdict = "" if bound is None else f"{'reached' if figure.p95_ms < bound else 'missed'}: {bound:g} ms"
        numbers = " | ".join(f"{value:.2f} ms" for value in (figure.median_ms, figure.p95_ms, figure.most_ms))
        lines.append(f"| {figure.what} | {numbers} | {verdict} |")
    return "\n".join(lines) + "\n"


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/catalog.db"


def _served(server: Callable[[], AbstractContextManager[Any]]) -> Callable[[Path], AbstractContextManager[str]]:
    @contextmanager
    def opened(_folder: Path) -> Iterator[str]:
        with server() as running, running.fresh_url() as url:
            yield url

    return opened


DATABASES = {"sqlite": _sqlite, "mariadb": _served(mariadb), "postgresql": _served(postgresql)}


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", action="append", choices=list(DATABASES), help="default: each")
    parser.add_argument("--pages", type=int, default=400, help="how often each question is asked")
    parser.add_argument("--deleted", type=int, default=50_000, help="how many images the deletion takes, of all")
    parser.add_argument("--folder", type=Path, help="where a temporary folder is made")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
