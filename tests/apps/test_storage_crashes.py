"""A process that ends at any step of a write loses nothing that was acknowledged, and the next one tidies up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.storage_crashes import CASES, KEY, NEW, OLD, act, open_parts
from testing.storage_parts import Parts

from elastic_images.core.errors import NotFound
from elastic_images.core.image_facts import Usage
from elastic_images.storage.crash_points import CRASH_POINTS
from elastic_images.storage.upkeep.collector import GRACE_SECONDS, ObjectCollector
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
    before = None if action == "upload" else OLD
    after = None if action == "delete" else NEW
    place = CRASH_POINTS.index(step)
    committed = place >= CRASH_POINTS.index("committed")
    stored = action != "delete" and place >= CRASH_POINTS.index("object-renamed")
    half_put = CRASH_POINTS.index("object-written") <= place < CRASH_POINTS.index("object-renamed")

    # Whole or absent, new or old, and the counters agree.
    present = after if committed else before
    assert bytes_of(parts) == present
    assert parts.catalog.usage() == (Usage(images=1, bytes=len(present)) if present else Usage(images=0, bytes=0))
    assert list((parts.folder / "spool").glob("*")) == []

    # fsck says what nothing refers to.
    report = report_of(parts)
    assert report.healthy
    assert len(report.young) == (1 if stored and not committed else 0)
    assert len(report.partial) == (1 if half_put else 0)
    assert report.waiting == (1 if committed and action != "upload" else 0)
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
    assert found is None if after is None else found is not None and found.facts.version == (2 if before else 1)

    # And when all is tidied up only what was never committed is left over, for fsck to tell.
    parts.acknowledger.mark_done()
    parts.clock.now += GRACE_SECONDS
    ObjectCollector(parts.changes, parts.store, clock=parts.clock).collect()
    left = report_of(parts, days=2)
    assert left.healthy
    assert left.waiting == 0
    assert left.unreferenced == report.young
    assert left.objects == len(report.young) + (1 if after else 0)
