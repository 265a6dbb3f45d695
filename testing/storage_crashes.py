"""Runs writes and kills the process at a named step of each: `python -m testing.storage_crashes FOLDER`.

Each case has its own folder, FOLDER/<action>-<step>, and its own process. It ends by `os._exit`, which, like SIGKILL,
runs no handlers and flushes and closes nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.storage.catalog.trash import GRACE_SECONDS
from elastic_images.storage.crash_points import COLLECTOR_CRASH_POINTS, CRASH_POINTS, no_crash
from testing.storage_parts import CATALOG_TABLES, Parts, large_picture, picture

KEY, WRITE_ID = "k", "c" * 32
# One is small and stays in memory during the upload, the other goes through a file.
OLD, NEW = picture(seed=1), large_picture()
_LATE = CRASH_POINTS[CRASH_POINTS.index("before-commit") :]
CASES = [
    *((action, step) for action in ("upload", "replace") for step in CRASH_POINTS),
    *((action, step) for action in ("delete", "restore", "restore-over") for step in _LATE),
]
"""A restore brings NEW back after it was deleted, or replaced by OLD."""
COLLECTOR_CASES = [("collect", step) for step in COLLECTOR_CRASH_POINTS]
CRASHED = 9


def open_parts(folder: Path, crash_at: str | None = None) -> Parts:
    """The parts of one case; dies at the step `crash_at`."""

    def step(name: str) -> None:
        if name == crash_at:
            os._exit(CRASHED)

    engine = open_engine(f"sqlite:///{folder}/test.db")
    metadata.create_all(engine, tables=CATALOG_TABLES)
    return Parts(engine, folder, crash_point=step if crash_at else no_crash)


def act(parts: Parts, action: str) -> None:
    if action == "delete":
        parts.delete(KEY, write_id=WRITE_ID)
    elif action == "collect":
        parts.clock.now += GRACE_SECONDS
        parts.collector.collect()
    elif action.startswith("restore"):
        parts.restore(1, write_id=WRITE_ID)
    else:
        parts.put(KEY, NEW, write_id=WRITE_ID)


def run(folder: Path, action: str, step: str) -> None:
    """Run one case; the caller gives it a process of its own."""
    folder.mkdir()
    if action != "upload":
        before = open_parts(folder)
        if action.startswith("restore"):
            before.put(KEY, NEW)
        if action == "restore":
            before.delete(KEY)
        else:
            before.put(KEY, OLD)
        if action == "collect":
            before.delete(KEY)
        before.acknowledger.mark_done()
        before.engine.dispose()
    act(open_parts(folder, step), action)


def main() -> None:
    root = Path(sys.argv[1])
    for action, step in (*CASES, *COLLECTOR_CASES):
        child = os.fork()
        if child == 0:
            run(root / f"{action}-{step}", action, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == CRASHED, f"{action} did not pass {step}"


if __name__ == "__main__":
    main()
