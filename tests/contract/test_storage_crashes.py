"""A process that ends at any step of a write loses nothing that was acknowledged, and the next one tidies up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testing.database_servers import DatabaseServer
from testing.object_servers import S3Server
from testing.storage_crashes import (
    CASES,
    COLLECTOR_CASES,
    KEY,
    MOVE_CASES,
    MOVED,
    NEW,
    OLD,
    OTHER,
    SERVER_CASES,
    Place,
    act,
    open_parts,
    write_places,
)
from testing.storage_parts import Parts

from elastic_images.core.errors import Conflict, NotFound
from elastic_images.core.image_facts import Usage
from elastic_images.storage.catalog.trash import CLAIM_SECONDS, GRACE_SECONDS
from elastic_images.storage.crash_points import COLLECTOR_CRASH_POINTS, CRASH_POINTS
from elastic_images.storage.upkeep.fsck import Report, fsck

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400.0


Case = tuple[str, str]


def on(kind: str) -> pytest.MarkDecorator:
    """On this database: SQLite with a folder, a server with S3."""
    return pytest.mark.parametrize("database_server", [kind], indirect=True, scope="session")


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids="-".join)


@pytest.fixture(scope="module")
def crashed(
    database_server: DatabaseServer | None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[Case, Place]]:
    """The place of each case, as its process left it."""
    folder = tmp_path_factory.mktemp("crashes")
    with ExitStack() as stack:
        if database_server is None:
            environ = dict(os.environ)
            places = {case: Place.local(folder / "-".join(case)) for case in (*CASES, *MOVE_CASES, *COLLECTOR_CASES)}
        else:
            s3: S3Server = request.getfixturevalue("seaweedfs_server")
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in s3.environment().items():
                patch.setenv(name, value)
            environ, bucket = dict(os.environ), s3.fresh_bucket()
            places = {
                case: Place(
                    stack.enter_context(database_server.fresh_url()),
                    f"s3://{bucket}/{'-'.join(case)}",
                    str(folder / "-".join(case)),
                )
                for case in (*SERVER_CASES, *MOVE_CASES, *COLLECTOR_CASES)
            }
        write_places(folder / "places.json", places)
        command = [sys.executable, "-m", "testing.storage_crashes", str(folder / "places.json")]
        subprocess.run(command, cwd=ROOT, check=True, env=environ)
        yield places


@pytest.fixture
def parts(crashed: dict[Case, Place], case: Case) -> Iterator[Parts]:
    """What the next process opens."""
    parts = open_parts(crashed[case])
    yield parts
    parts.engine.dispose()


def bytes_of(parts: Parts, key: str = KEY) -> bytes | None:
    try:
        return parts.bytes_of(key)
    except NotFound:
        return None


def report_of(parts: Parts, days: float = 0) -> Report:
    return fsck(parts.store, parts.engine, now=time.time() + days * DAY)


@on("sqlite")
@each(CASES)
def test_after_a_crash(parts: Parts, case: Case) -> None:
    check_after_a_crash(parts, case)


@on("mariadb")
@each(SERVER_CASES)
def test_after_a_crash_on_servers(parts: Parts, case: Case) -> None:
    check_after_a_crash(parts, case)


def check_after_a_crash(parts: Parts, case: Case) -> None:
    action, step = case
    before = None if action in ("upload", "restore") else OLD
    after = None if action == "delete" else NEW
    place = CRASH_POINTS.index(step)
    committed = place >= CRASH_POINTS.index("committed")
    stored = action in ("upload", "replace") and place >= CRASH_POINTS.index("object-renamed")
    half_put = CRASH_POINTS.index("object-written") <= place < CRASH_POINTS.index("object-renamed")

    # Whole or absent, new or old, and the counters agree.
    present = after if committed else before
    assert bytes_of(parts) == present
    assert parts.catalog.usage() == (Usage(images=1, bytes=len(present)) if present else Usage(images=0, bytes=0))
    assert list((parts.folder / "spool").glob("*")) == []

    trashed = 1 if action.startswith("restore") else 0  # before the write

    # fsck says what nothing refers to.
    report = report_of(parts)
    assert report.healthy
    assert len(report.young) == (1 if stored and not committed else 0)
    assert len(report.partial) == (1 if half_put else 0)
    assert report.waiting == (trashed if not committed else 1 if before else 0)
    assert report.unreferenced == []
    assert report_of(parts, days=2).unreferenced == report.young

    # A committed change is taken up, an uncommitted one never was.
    assert parts.acknowledger.take_up(0) == (1 if committed else 0)
    assert parts.caches.told == ([(KEY,)] if committed else [])
    assert parts.acknowledger.take_up(0) == 0

    # The same write, repeated, takes effect once.
    act(parts, action)
    assert bytes_of(parts) == after
    found = parts.catalog.find(KEY)
    versions = {"upload": 0, "replace": 1, "delete": 1, "restore": 2, "restore-over": 2}
    assert found is None if after is None else found is not None and found.facts.version == 1 + versions[action]

    # And when all is tidied up only what was never committed is left over, for fsck to tell.
    parts.acknowledger.mark_done()
    parts.clock.now += GRACE_SECONDS
    parts.collector.collect()
    left = report_of(parts, days=2)
    assert left.healthy
    assert left.waiting == 0
    assert left.unreferenced == report.young
    assert left.objects == len(report.young) + (1 if after else 0)


@on("sqlite")
@each(MOVE_CASES)
def test_after_a_crashed_rename(parts: Parts, case: Case) -> None:
    check_after_a_crashed_rename(parts, case)


@on("mariadb")
@each(MOVE_CASES)
def test_after_a_crashed_rename_on_servers(parts: Parts, case: Case) -> None:
    check_after_a_crashed_rename(parts, case)


def check_after_a_crashed_rename(parts: Parts, case: Case) -> None:
    """The image is under one of its keys, and whichever process finishes it tells caches of both."""
    action, step = case
    committed = CRASH_POINTS.index(step) >= CRASH_POINTS.index("committed")
    other = NEW if action == "batch" and not committed else None

    assert (bytes_of(parts), bytes_of(parts, MOVED)) == ((None, OLD) if committed else (OLD, None))
    assert bytes_of(parts, OTHER) == other
    present = [OLD, *([other] if other else [])]
    assert parts.catalog.usage() == Usage(images=len(present), bytes=sum(map(len, present)))
    report = report_of(parts, days=2)
    assert (report.healthy, report.unreferenced) == (True, [])
    assert report.waiting == (1 if action == "batch" and committed else 0), "a rename puts nothing into the trash"

    changes = [MOVED, KEY] + ([OTHER] if action == "batch" else [])
    assert parts.acknowledger.take_up(0) == (len(changes) if committed else 0)
    assert parts.caches.told == ([tuple(changes)] if committed else [])
    assert parts.acknowledger.take_up(0) == 0

    act(parts, action)
    assert (bytes_of(parts), bytes_of(parts, MOVED), bytes_of(parts, OTHER)) == (None, OLD, None)
    found = parts.catalog.find(MOVED)
    assert found is not None
    assert found.facts.version == 2
    assert parts.put(KEY, NEW)[0].version == 3, "the old key's version lives on"


@on("sqlite")
@each(COLLECTOR_CASES)
def test_after_the_collector_crashed(parts: Parts, case: Case) -> None:
    check_after_the_collector_crashed(parts, case)


@on("mariadb")
@each(COLLECTOR_CASES)
def test_after_the_collector_crashed_on_servers(parts: Parts, case: Case) -> None:
    check_after_the_collector_crashed(parts, case)


def check_after_the_collector_crashed(parts: Parts, case: Case) -> None:
    """The claim is taken over after a while; a claimed entry is never restored, whether its object is there or not."""
    step = COLLECTOR_CRASH_POINTS.index(case[1])
    parts.clock.now += GRACE_SECONDS
    report = report_of(parts, days=2)
    assert report.healthy
    assert report.objects == (1 if step == 0 else 0)
    assert report.unreferenced == []
    with pytest.raises(NotFound if case[1] == "collected" else Conflict):
        parts.restore(1)
    parts.collector.collect()
    assert parts.trash.backlog()[0] == (0 if case[1] == "collected" else 1)
    parts.clock.now += CLAIM_SECONDS
    parts.collector.collect()
    assert parts.trash.backlog() == (0, None)
    left = report_of(parts, days=2)
    assert (left.objects, left.waiting) == (0, 0)
