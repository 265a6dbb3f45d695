"""What is particular to the local store: its file, its retention. What every store does is in tests/contract."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.clock import Clock

from elastic_images.core.errors import OutOfSpace, Unavailable
from elastic_images.metrics.local.store import QUARTER_SECONDS, LocalMetricStore
from elastic_images.metrics.sample import Sample

NOON = 1_700_006_400.0
DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[LocalMetricStore]:
    store = LocalMetricStore(tmp_path / "metrics.sqlite3", clock)
    yield store
    store.close()


def sample(ended_at: float, number: int = 0, slot: int = 0, hits: int = 1) -> Sample:
    return Sample(
        f"{ended_at}-{slot}-{number}",
        f"node-{slot}",
        "node",
        slot,
        ended_at - 5,
        ended_at,
        requests=hits + 1,
        hits=hits,
        misses=1,
        items=10,
        used_bytes=1000,
    )


def rows(store: LocalMetricStore) -> dict[int, int]:
    found = dict(store._query("SELECT step_seconds, COUNT(*) FROM step GROUP BY step_seconds", ()))
    return found | {5: store._query("SELECT COUNT(*) FROM sample", ())[0][0]}


def test_resolution_falls_with_age_and_nothing_outlives_thirty_days(store: LocalMetricStore, clock: Clock) -> None:
    for days in range(40):
        clock.now = NOON + days * DAY
        store.publish([sample(clock.now)])
    store.maintain()
    assert rows(store) == {5: 1, 60: 3, QUARTER_SECONDS: 31}
    old = store.series("hits", 30 * 24 * 60, clock.now)
    assert old.step_seconds == QUARTER_SECONDS
    assert len(old.points) == 30 * 96
    assert [value for _, value in old.points if value is not None] == [1] * 30
    recent = store.series("hits", 2 * 24 * 60, clock.now)
    assert recent.step_seconds == 60
    assert len(recent.points) == 2 * 24 * 60
    assert [value for _, value in recent.points if value is not None] == [1] * 2


def test_maintenance_loses_no_count_that_a_series_can_show(store: LocalMetricStore, clock: Clock) -> None:
    for minute in range(180):
        clock.now = NOON + 60 * minute
        store.publish([sample(clock.now, hits=minute)])
    before = store.series("hits", 180, clock.now)
    store.maintain()
    assert store.series("hits", 180, clock.now) == before
    assert sum(value or 0 for _, value in before.points) == sum(range(180))
    quarters = store.series("hits", 3000, clock.now)
    assert sum(value or 0 for _, value in quarters.points) == sum(range(180))


def test_publishing_does_the_maintenance(store: LocalMetricStore, clock: Clock) -> None:
    store.publish([sample(clock.now)])
    clock.now += 40 * DAY
    store.publish([])
    assert rows(store) == {5: 0}


def test_a_repeated_sample_counts_once_even_after_maintenance(store: LocalMetricStore, clock: Clock) -> None:
    late = sample(clock.now, hits=5)
    store.publish([late])
    clock.now += 3599
    store.maintain()
    store.publish([late, late])
    clock.now += 1
    store.maintain()
    store.publish([late])
    points = store.series("hits", 70, clock.now).points
    assert [value for _, value in points if value is not None] == [5]


def test_samples_of_another_time_are_left_out(store: LocalMetricStore, clock: Clock) -> None:
    store.publish([sample(clock.now - 3600), sample(clock.now + 3600), sample(clock.now + DAY * 400)])
    assert rows(store) == {5: 0}


def test_it_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "metrics.sqlite3"
    first = LocalMetricStore(path, clock)
    first.publish([sample(clock.now)])
    first.close()
    second = LocalMetricStore(path, clock)
    second.publish([sample(clock.now), sample(clock.now, number=1)])
    assert second.rate(60, clock.now).hits == 2
    second.close()


@pytest.mark.parametrize("version", [0, 99])
def test_a_file_that_cannot_be_read_is_set_aside(tmp_path: Path, clock: Clock, version: int) -> None:
    path = tmp_path / "metrics.sqlite3"
    if version:
        other = sqlite3.connect(path)
        other.execute(f"PRAGMA user_version={version}")
        other.close()
    else:
        path.write_bytes(b"not a database at all" * 100)
    before = path.read_bytes()
    store = LocalMetricStore(path, clock)
    store.publish([sample(clock.now)])
    assert store.rate(60, clock.now).hits == 1
    store.close()
    kept = path.with_name("metrics.sqlite3.unreadable").read_bytes()
    assert len(kept) == len(before)


def test_a_failed_batch_leaves_nothing_and_can_be_sent_again(store: LocalMetricStore, clock: Clock) -> None:
    good, bad = sample(clock.now), sample(clock.now, number=1, hits=2**63)
    with pytest.raises(OverflowError):
        store.publish([good, bad])
    assert rows(store) == {5: 0}
    store.publish([good])
    assert store.rate(60, clock.now).hits == 1


def test_a_full_disk_is_an_error_of_ours_and_passes(store: LocalMetricStore, clock: Clock) -> None:
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    batch = [sample(clock.now - number, number) for number in range(1000)]
    with pytest.raises(OutOfSpace):
        store.publish(batch)
    store._connection.execute("PRAGMA max_page_count=1000000")
    store.publish(batch)
    assert store.rate(3600, clock.now).hits == 1000


def test_a_closed_store_is_unavailable(tmp_path: Path, clock: Clock) -> None:
    store = LocalMetricStore(tmp_path / "metrics.sqlite3", clock)
    store.close()
    with pytest.raises(Unavailable):
        store.rate(60, clock.now)


def test_threads_may_publish_and_ask_at_once(store: LocalMetricStore, clock: Clock) -> None:
    errors: list[Exception] = []

    def work(slot: int) -> None:
        try:
            for number in range(50):
                store.publish([sample(clock.now - number, number, slot)])
                store.series("hits", 60, clock.now)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(slot,)) for slot in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.rate(3600, clock.now).hits == 400


def test_thirty_days_of_eight_nodes_stay_small(tmp_path: Path, store: LocalMetricStore, clock: Clock) -> None:
    # As many rows of each kind as publishing every 5 s leaves, without publishing all of the 4 million samples.
    for start, end, every in ((30 * DAY, 2 * DAY, 900), (2 * DAY, 3600, 60), (3600, 0, 5)):
        for second in range(int(start), int(end), -every):
            clock.now = NOON + 30 * DAY - second
            store.publish([sample(clock.now, slot=slot) for slot in range(8)])
    store.maintain()
    kept = rows(store)
    assert kept[5] == 8 * 720
    assert 8 * 2880 <= kept[60] <= 8 * 2881
    assert 8 * 2880 <= kept[QUARTER_SECONDS] <= 8 * 2881
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "metrics.sqlite3").stat().st_size < 10_000_000
