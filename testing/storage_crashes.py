"""Runs writes and kills the process at a named step of each: `python -m testing.storage_crashes PLACES`.

PLACES is a JSON file that names the `Place` of each case. Each has its own process, which ends by `os._exit`: like
SIGKILL, it runs no handlers and flushes and closes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.storage.batch import Operation
from elastic_images.storage.catalog.trash import GRACE_SECONDS
from elastic_images.storage.crash_points import COLLECTOR_CRASH_POINTS, CRASH_POINTS, no_crash
from elastic_images.storage.objects.from_url import open_object_store
from testing.storage_parts import ANN, CATALOG_TABLES, Parts, large_picture, picture

KEY, MOVED, OTHER, WRITE_ID = "k", "moved", "other", "c" * 32
BATCH = [Operation(KEY, to=MOVED), Operation(OTHER)]
# One is small and stays in memory during the upload, the other goes through a file.
OLD, NEW = picture(seed=1), large_picture()
_LATE = CRASH_POINTS[CRASH_POINTS.index("before-commit") :]
CASES = [
    *((action, step) for action in ("upload", "replace") for step in CRASH_POINTS),
    *((action, step) for action in ("delete", "restore", "restore-over") for step in _LATE),
]
"""A restore brings NEW back after it was deleted, or replaced by OLD."""
_WRITES_TO_SERVERS = [(action, step) for action in ("upload", "replace") for step in ("object-renamed", "committed")]
SERVER_CASES = [*_WRITES_TO_SERVERS, *(case for case in CASES if case[0] not in ("upload", "replace"))]
"""Those in which a database server and S3 differ most from SQLite and a folder."""
MOVE_CASES = [("move", step) for step in _LATE] + [("batch", step) for step in _LATE[1:]]
"""A batch renames one image and deletes another one. A server, too."""
COLLECTOR_CASES = [("collect", step) for step in COLLECTOR_CRASH_POINTS]
CRASHED = 9


@dataclass(frozen=True)
class Place:
    """Where a case keeps what it writes: database and object store by their URLs, the rest in the folder."""

    database: str
    object_store: str
    folder: str

    @classmethod
    def local(cls, folder: Path) -> Place:
        """SQLite and a folder."""
        return cls(f"sqlite:///{folder}/test.db", f"file://{folder}/objects", str(folder))


def open_parts(place: Place, crash_at: str | None = None) -> Parts:
    """The parts of one case; dies at the step `crash_at`."""

    def step(name: str) -> None:
        if name == crash_at:
            os._exit(CRASHED)

    crash_point = step if crash_at else no_crash
    engine = open_engine(place.database)
    metadata.create_all(engine, tables=CATALOG_TABLES)
    store = open_object_store(place.object_store, crash_point=crash_point)
    return Parts(engine, Path(place.folder), crash_point=crash_point, store=store)


def act(parts: Parts, action: str) -> None:
    if action == "delete":
        parts.delete(KEY, write_id=WRITE_ID)
    elif action == "move":
        parts.writes.move(KEY, MOVED, write_id=WRITE_ID, actor=ANN)
    elif action == "batch":
        parts.writes.batch(BATCH, batch_id=WRITE_ID, actor=ANN)
    elif action == "collect":
        parts.clock.now += GRACE_SECONDS
        parts.collector.collect()
    elif action.startswith("restore"):
        parts.restore(1, write_id=WRITE_ID)
    else:
        parts.put(KEY, NEW, write_id=WRITE_ID)


def run(place: Place, action: str, step: str) -> None:
    """Run one case; the caller gives it a process of its own."""
    Path(place.folder).mkdir()
    if action != "upload":
        before = open_parts(place)
        if action.startswith("restore"):
            before.put(KEY, NEW)
        if action == "restore":
            before.delete(KEY)
        else:
            before.put(KEY, OLD)
        if action == "collect":
            before.delete(KEY)
        if action == "batch":
            before.put(OTHER, NEW)
        before.acknowledger.mark_done()
        before.engine.dispose()
    act(open_parts(place, step), action)


def write_places(file: Path, places: dict[tuple[str, str], Place]) -> None:
    """Write PLACES."""
    file.write_text(json.dumps([[*case, asdict(place)] for case, place in places.items()]))


def main() -> None:
    for action, step, place in json.loads(Path(sys.argv[1]).read_text()):
        child = os.fork()
        if child == 0:
            run(Place(**place), action, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == CRASHED, f"{action} did not pass {step}"


if __name__ == "__main__":
    main()
