"""A process that ends at any step of a write loses nothing that was acknowledged, and the next one tidies up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.storage_crashes import CASES, COLLECTOR_CASES, KEY, NEW, OLD, act, open_parts
from testing.storage_parts import Parts

from elastic_images.core.errors import Conflict, NotFound
from elastic_images.core.image_facts import Usage
from elastic_images.storage.catalog.trash import CLAIM_SECONDS, GRACE_SECONDS
from elastic_images.storage.crash_points import COLLECTOR_CRASH_POINTS, CRASH_POINTS
from elastic_images.storage.upkeep.fsck import Report, fsck

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400.0


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each case, as its process left it."""
    folder = tmp_path_factory.mktemp("crashes")
    subprocess.run([sys.executable, "-m", "testing.storage_crashes", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def parts(crashed: Path, case: tuple[str, str]) -> Iterator[Parts]:
    """What the next process opens."""
    parts = open_parts(crashed / "-".join(case))
    yield parts
    parts.engine.dispose()


def bytes_of(parts: Parts) -> bytes | None:
    try:
        return parts.bytes_of(KEY)
    except NotFound:
        return None


def report_of(parts: Parts, days: float = 0) -> Report:
    return fsck(parts.store, parts.engine, now=time.time() + days * DAY)


def test_after_a_crash(parts: Parts, case: tuple[str, str]) -> None:
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


@pytest.mark.parametrize("case", COLLECTOR_CASES, ids="-".join)
def test_after_the_collector_crashed(parts: Parts, case: tuple[str, str]) -> None:
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
