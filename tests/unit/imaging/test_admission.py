"""Which job runs next, by priority, age, places and memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from elastic_images.imaging.admission import MEGABYTE, Admission, Cost, Waiting
from elastic_images.imaging.imaging import Priority

UPLOAD, MEMBER, STRANGER = Priority


class Queue:
    """An admission with jobs that are named by their number."""

    def __init__(self, memory_mb: int = 572, places: int = 2) -> None:
        self.admission = Admission(memory_mb * MEGABYTE, places)
        self.jobs: list[Waiting] = []

    def add(self, priority: Priority = UPLOAD, heavy_mb: int = 0, client: str = "") -> int:
        cost = Cost(heavy_mb * MEGABYTE, heavy=True) if heavy_mb else Cost()
        self.jobs.append(Waiting(priority, len(self.jobs), cost, client))
        self.admission.add(self.jobs[-1])
        return len(self.jobs) - 1

    def start(self, now: float = 0.0) -> list[int]:
        started = []
        while (job := self.admission.start_next(now)) is not None:
            started.append(job.number)
        return started

    def end(self, number: int) -> None:
        self.admission.remove(self.jobs[number])


def test_uploads_go_first_then_members_then_strangers_and_each_in_turn() -> None:
    queue = Queue(memory_mb=48, places=1)
    for priority in (STRANGER, MEMBER, UPLOAD, STRANGER, MEMBER, UPLOAD):
        queue.add(priority)
    order = []
    for _ in range(6):
        (started,) = queue.start()
        order.append(started)
        queue.end(started)
    assert order == [2, 5, 1, 4, 0, 3]


def test_light_jobs_need_not_wait_for_heavy_ones() -> None:
    queue = Queue()
    for _ in range(3):
        queue.add(heavy_mb=100)
    assert queue.start() == [0, 1]
    for _ in range(3):
        queue.add(STRANGER)
    assert queue.start() == [3, 4]
    queue.end(0)
    assert queue.start() == [2]
    queue.end(3)
    assert queue.start() == [5]


def test_one_clients_heavy_jobs_do_not_keep_others_waiting_for_all_of_them() -> None:
    queue = Queue()
    for _ in range(5):
        queue.add(heavy_mb=100, client="greedy")
    assert queue.start() == [0, 1]
    queue.add(heavy_mb=400, client="other")
    queue.add(MEMBER, heavy_mb=100, client="third")
    queue.end(0)
    assert queue.start() == [5], "it has none running yet"
    queue.end(1)
    assert queue.start() == [2], "uploads still go before renditions"


def test_an_upload_has_a_place_beside_light_renditions() -> None:
    queue = Queue()
    for priority in (STRANGER, MEMBER, MEMBER, UPLOAD, UPLOAD):
        queue.add(priority)
    assert queue.start() == [3, 4, 1]
    queue.end(3)
    queue.end(4)
    assert queue.start() == [2]
    queue.add()
    assert queue.start() == [5]


def test_memory_is_kept_within() -> None:
    queue = Queue()
    assert queue.admission.heavy_bytes == 500 * MEGABYTE
    queue.add(heavy_mb=300)
    queue.add(heavy_mb=300)
    assert queue.start() == [0]
    assert queue.admission.admitted_bytes == 300 * MEGABYTE
    queue.end(0)
    assert queue.start() == [1]


def test_who_needs_more_than_there_is_gets_all_of_it() -> None:
    queue = Queue()
    queue.add(heavy_mb=9000)
    assert queue.start() == [0]
    assert queue.admission.admitted_bytes == 500 * MEGABYTE


def test_small_jobs_pass_a_large_one_for_a_second_and_no_longer() -> None:
    queue = Queue()
    queue.add(heavy_mb=300)
    queue.add(heavy_mb=400)
    queue.add(heavy_mb=100)
    assert queue.start(0.0) == [0, 2], "the third passes the second"
    queue.end(2)
    queue.add(heavy_mb=100)
    queue.add()
    assert queue.start(1.5) == [4], "a light one has its own places, but no heavy one passes any more"
    queue.end(0)
    assert queue.start(1.6) == [1, 3]


def test_a_job_that_is_gone_neither_waits_nor_runs() -> None:
    queue = Queue(memory_mb=48, places=1)
    for _ in range(3):
        queue.add()
    assert queue.start() == [0]
    queue.end(1)
    queue.end(0)
    queue.end(0)
    assert queue.start() == [2]
    queue.end(2)
    assert (queue.admission.waiting, queue.admission.admitted_bytes) == (0, 0)


@given(
    st.integers(64, 2000),
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 900), st.booleans()), max_size=40),
)
def test_everything_runs_in_the_end_within_the_bounds(
    memory_mb: int, places: int, steps: list[tuple[Priority, int, bool]]
) -> None:
    queue = Queue(memory_mb, places)
    running: list[int] = []
    done, now = set(), 0.0
    for priority, heavy_mb, ends in [*steps, *([(UPLOAD, 0, True)] * 200)]:
        now += 0.4
        if len(queue.jobs) < len(steps):
            queue.add(priority, heavy_mb)
        running += queue.start(now)
        assert queue.admission.admitted_bytes <= memory_mb * MEGABYTE
        assert sum(queue.jobs[one].cost.heavy for one in running) <= places
        light = [queue.jobs[one] for one in running if not queue.jobs[one].cost.heavy]
        assert len(light) <= places + 1
        assert sum(job.priority is not UPLOAD for job in light) <= places
        if ends and running:
            done.add(running[0])
            queue.end(running.pop(0))
    assert done == set(range(len(steps)))
