"""Writers that wait together commit together, and each gets what he would have got alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from testing.waiting import wait_for

from elastic_images.core.errors import Forbidden
from elastic_images.storage.catalog.group_commit import MOST_TOGETHER, GroupCommit

Work = Callable[[Connection], int]


def adds(number: int) -> Work:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO image_usage VALUES (:number, 1, 1)"), {"number": number})
        return number

    return work


def together(engine: Engine, works: Sequence[Work], group: GroupCommit | None = None) -> tuple[list[Future[int]], int]:
    """What became of works that waited together while another one had its turn, and how many commits they took."""
    group = group or GroupCommit(engine)
    go = threading.Event()
    commits: list[object] = []
    with ThreadPoolExecutor(len(works) + 1) as threads:
        first = threads.submit(group.run, lambda _: int(go.wait(60)))
        wait_for(lambda: group._turn.locked() and not group._waiting)
        futures = []
        for place, work in enumerate(works):
            futures.append(threads.submit(group.run, work))
            wait_for(lambda place=place: len(group._waiting) == place + 1)  # type: ignore[misc]
        event.listen(engine, "commit", commits.append)
        go.set()
    assert first.result() == 1
    return futures, len(commits) - 1


def numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT partition FROM image_usage ORDER BY partition")).scalars())


def test_who_waits_together_commits_together(engine: Engine) -> None:
    futures, commits = together(engine, [adds(number) for number in range(12)])
    assert [future.result() for future in futures] == list(range(12)) == numbers(engine)
    assert commits == 1


def test_a_commit_takes_along_so_many_and_no_more(engine: Engine) -> None:
    count = MOST_TOGETHER + 3
    futures, commits = together(engine, [adds(number) for number in range(count)])
    assert [future.result() for future in futures] == list(range(count)) == numbers(engine)
    assert commits == 2


def test_a_work_that_fails_takes_nothing_of_others_with_it(engine: Engine) -> None:
    def refused(connection: Connection) -> int:
        adds(7)(connection)
        raise Forbidden("It is another's.")

    def mistaken(connection: Connection) -> int:
        adds(8)(connection)
        raise RuntimeError("a mistake of ours")

    futures, commits = together(engine, [adds(1), refused, adds(1), adds(2), mistaken])
    errors = [type(future.exception()) for future in futures]
    assert errors == [type(None), Forbidden, IntegrityError, type(None), RuntimeError]
    assert numbers(engine) == [1, 2]
    assert commits == 1


def test_an_error_that_ends_the_whole_transaction_costs_others_time_alone(engine: Engine) -> None:
    runs: list[str] = []

    def full(connection: Connection) -> int:
        runs.append("full")
        # What SQLite does by itself where the disk is full.
        connection.exec_driver_sql("ROLLBACK")
        raise OperationalError("x", {}, Exception("database or disk is full"))

    futures, commits = together(engine, [adds(1), full, adds(2)])
    assert [futures[0].result(), futures[2].result()] == [1, 2] == numbers(engine)
    assert isinstance(futures[1].exception(), OperationalError)
    assert runs == ["full", "full"]
    assert commits == 2


def test_a_commit_that_fails_failed_for_everybody(engine: Engine) -> None:
    def refused(_: Connection) -> int:
        raise Forbidden("It is another's.")

    group = GroupCommit(engine)
    broken = threading.Event()

    @event.listens_for(engine, "commit")
    def fail(connection: Connection) -> None:
        if connection.execute(text("SELECT COUNT(*) FROM image_usage")).scalar_one():
            broken.set()
            raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    futures, _ = together(engine, [adds(1), refused, adds(2)], group)
    assert broken.is_set()
    assert [type(future.exception()) for future in futures] == [OperationalError, Forbidden, OperationalError]
    assert numbers(engine) == []


def test_threads_that_come_and_go_get_their_own(engine: Engine) -> None:
    group = GroupCommit(engine)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda number: group.run(adds(number)), range(400))) == list(range(400))
    assert numbers(engine) == list(range(400))
