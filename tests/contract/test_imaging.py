"""The imaging broker with its real processes: answers, limits, order, and what happens when any of them is killed."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from testing.imaging_broker import MEGABYTE, RunningBroker, running_broker, soon, started
from testing.settings import make_settings
from testing.waiting import wait_for

from elastic_images.core.errors import BrokenImage, EmptyBody, InvalidRequest, NotAnImage, TooLarge, Unavailable
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import PRESETS
from elastic_images.imaging.access import ImagingAccess
from elastic_images.imaging.client import ImagingClient
from elastic_images.imaging.imaging import Priority

FRAMES = 120
pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="reads what only Linux tells of processes")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with running_broker(tmp_path) as found:
        yield found


def encoded(kind: str, size: tuple[int, int] = (60, 40), **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(stream, kind, **options)
    return stream.getvalue()


@cache
def slow_image(frames: int = FRAMES) -> bytes:
    """Takes seconds to decode, and little memory: an animation whose frames are all the same."""
    stream = io.BytesIO()
    Image.new("P", (1000, 1000)).save(stream, "GIF")
    start = stream.getvalue().index(b"\x2c\0\0\0\0")
    head, frame = stream.getvalue()[:start], stream.getvalue()[start:-1]
    return head + frame * frames + b"\x3b"


def inspect(broker: RunningBroker, body: bytes, **options: Any) -> Any:
    return broker.client.inspect(body, **{"deadline": soon()} | options)


def busy_worker(broker: RunningBroker) -> psutil.Process:
    """A worker that is in the middle of the slow image."""

    def computing() -> psutil.Process | None:
        return next((one for one in broker.workers() if sum(one.cpu_times()[:2]) > 0.1), None)

    return wait_for(computing, "a worker computes")


# Answers


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"])
def test_every_format_is_inspected_and_made_smaller(broker: RunningBroker, kind: str) -> None:
    body = encoded(kind, (600, 400))
    found = inspect(broker, body)
    assert (found.format, found.width, found.height, found.frames) == (kind, 600, 400, 1)
    made = broker.client.render(body, PRESETS["thumb"], priority=Priority.STRANGER_RENDITION, deadline=soon())
    assert 0 < made.processor_seconds < 60
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == (made.width, made.height) == (320, 213)
        assert image.get_format_mimetype() == made.content_type


def test_a_file_is_passed_by_its_descriptor(broker: RunningBroker, tmp_path: Path) -> None:
    with (tmp_path / "image").open("wb+") as file:
        file.write(encoded("PNG"))
        file.flush()
        assert broker.client.inspect(file.fileno(), deadline=soon()).format == "PNG"
        assert file.read() == b"", "the file's own position is where it was"


def test_what_is_no_image_is_refused(broker: RunningBroker, tmp_path: Path) -> None:
    with pytest.raises(EmptyBody):
        inspect(broker, b"")
    with (tmp_path / "empty").open("wb") as file, pytest.raises(EmptyBody):
        broker.client.inspect(file.fileno(), deadline=soon())
    with pytest.raises(NotAnImage):
        inspect(broker, b"text")
    with pytest.raises(BrokenImage):
        inspect(broker, encoded("PNG")[:-30])
    with pytest.raises(InvalidRequest):
        broker.client.render(
            encoded("PNG"), RenditionSpec(9, 9, "cover", "nowhere"), priority=Priority.UPLOAD, deadline=soon()
        )
    assert broker.figures()["outcomes"]["inspect.not-an-image"] == 1
    assert broker.is_idle()


# Confinement


def test_a_worker_has_nothing_but_its_image(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTIC_IMAGES_SECRET_KEY", "secret")
    thread, _ = started(lambda: inspect(broker, slow_image()))
    worker = busy_worker(broker)
    files = Path(f"/proc/{worker.pid}/fd")
    found = sorted(str(file.readlink()) for file in files.iterdir())
    assert [name for name in found if name != "/dev/null"] == [
        name for name in found if name.startswith(("socket:", "/memfd:image"))
    ]
    assert sum(name.startswith("socket:") for name in found) == 1
    assert Path(f"/proc/{worker.pid}/environ").read_bytes() == b"MALLOC_ARENA_MAX=1\0"
    used = worker.memory_info().vms
    assert worker.rlimit(psutil.RLIMIT_AS)[0] < used + 100 * MEGABYTE
    assert worker.rlimit(psutil.RLIMIT_CPU)[0] <= 21
    for limit in (psutil.RLIMIT_NPROC, psutil.RLIMIT_CORE):
        assert worker.rlimit(limit) == (0, 0)
    worker.kill()
    thread.join()


def test_nobody_is_left_when_the_broker_is_killed(tmp_path: Path) -> None:
    others = set(psutil.Process().children(recursive=True))
    access = ImagingAccess(make_settings(tmp_path))
    access.start()
    try:
        access.client.inspect(encoded("PNG"), deadline=soon())
        everyone = set(psutil.Process().children(recursive=True)) - others
        assert len(everyone) == 3
        broker = next(one for one in everyone if "--listen-fd" in one.cmdline())
        thread, outcome = started(lambda: access.client.inspect(slow_image(), deadline=soon()))
        worker = next(one for one in everyone if one.ppid() not in (broker.pid, os.getpid()))
        wait_for(lambda: worker.cpu_times().user > 0.3, "it works")
        broker.kill()
        # The next broker gets the job: the connection waits at the socket.
        thread.join()
        assert outcome[0].frames == FRAMES
        wait_for(lambda: not any(one.is_running() for one in everyone), "the first three are gone")
        after = set(psutil.Process().children(recursive=True)) - others
    finally:
        access.stop()
    wait_for(lambda: not any(one.is_running() for one in after), "the others are gone")
    with pytest.raises(Unavailable):
        access.client.inspect(encoded("PNG"), deadline=soon())


def test_a_broker_of_an_apps_own_that_is_stopped_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elastic_images.imaging.access._STOPPED_SECONDS", 0.2)
    monkeypatch.setattr("elastic_images.imaging.access._LOOK_SECONDS", 0.1)
    access = ImagingAccess(make_settings(tmp_path))
    access.start()
    try:
        access.client.inspect(encoded("PNG"), deadline=soon())
        assert access._process is not None
        stopped = psutil.Process(access._process.pid)
        stopped.suspend()
        assert access.client.inspect(encoded("PNG"), deadline=soon()).format == "PNG"
        assert not stopped.is_running()
    finally:
        access.stop()


# Limits


def test_the_processor_limit_is_the_images_fault(tmp_path: Path) -> None:
    with running_broker(tmp_path, cpu_seconds=1) as broker:
        with pytest.raises(BrokenImage, match="processor time"):
            inspect(broker, slow_image(500))
        assert inspect(broker, encoded("PNG")).format == "PNG"
        assert broker.is_idle()


def test_a_deadline_is_nobodys_fault_and_ends_the_work(broker: RunningBroker) -> None:
    inspect(broker, encoded("PNG"))
    with pytest.raises(Unavailable, match="too long"):
        inspect(broker, slow_image(), deadline=time.monotonic() + 0.5)
    wait_for(broker.is_idle, "the work has ended")
    with pytest.raises(Unavailable):
        inspect(broker, encoded("PNG"), deadline=time.monotonic() - 1)


def computes(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_RUNNING)
    except psutil.NoSuchProcess:
        return False


def test_work_ends_when_nobody_waits_for_it(broker: RunningBroker) -> None:
    with pytest.raises(Unavailable, match="Nobody waits"):
        inspect(broker, slow_image(), gone=lambda: bool(broker.workers()))
    wait_for(broker.is_idle, "the work has ended")
    wait_for(lambda: not any(map(computes, broker.workers())), "no worker works")


def test_an_inspection_is_given_up_by_its_name_from_any_process(broker: RunningBroker) -> None:
    thread, outcome = started(lambda: inspect(broker, slow_image(), name="a1"))
    busy_worker(broker)
    other = ImagingClient(broker.path)
    other.give_up("b2")
    assert broker.figures()["busy"] == 1
    other.give_up("a1")
    other.close()
    thread.join()
    assert isinstance(outcome[0], Unavailable)
    wait_for(broker.is_idle, "the work has ended")


# Order


def test_uploads_pass_waiting_renditions(tmp_path: Path) -> None:
    with running_broker(tmp_path, places=1) as broker:
        first, _ = started(lambda: inspect(broker, slow_image()))
        worker = busy_worker(broker)
        order: list[str] = []

        def stranger() -> None:
            broker.client.render(large("WebP"), PRESETS["thumb"], priority=Priority.STRANGER_RENDITION, deadline=soon())
            order.append("stranger")

        def upload() -> None:
            inspect(broker, large("WebP"))
            order.append("upload")

        later, _ = started(stranger)
        wait_for(lambda: broker.figures()["waiting"] == 1, "the stranger waits")
        sooner, _ = started(upload)
        wait_for(lambda: broker.figures()["waiting"] == 2, "the upload waits, too")
        worker.kill()
        for thread in (first, later, sooner):
            thread.join()
        assert order == ["upload", "stranger"]


def test_those_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elastic_images.imaging.broker.MAX_WAITING", 1)
    with running_broker(tmp_path, places=1) as broker:
        threads = [started(lambda: inspect(broker, slow_image()))[0]]
        busy_worker(broker)
        threads.append(started(lambda: inspect(broker, large("WebP"), deadline=soon(2)))[0])
        wait_for(lambda: broker.figures()["waiting"] == 1, "one waits")
        with pytest.raises(Unavailable, match="waiting") as refused:
            inspect(broker, encoded("PNG"))
        assert refused.value.retry_after_seconds
        broker.workers()[0].kill()
        for thread in threads:
            thread.join()


# Killed and stopped


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_killed_or_stopped_fails_its_job_alone(broker: RunningBroker, number: signal.Signals) -> None:
    thread, outcome = started(lambda: inspect(broker, slow_image()))
    busy_worker(broker).send_signal(number)
    assert inspect(broker, encoded("PNG")).format == "PNG"
    thread.join()
    assert isinstance(outcome[0], Unavailable)
    wait_for(broker.is_idle, "its place is free")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_template_that_is_killed_or_stopped_is_replaced(broker: RunningBroker, number: signal.Signals) -> None:
    thread, outcome = started(lambda: inspect(broker, slow_image()))
    busy_worker(broker)
    broker.template().send_signal(number)
    assert inspect(broker, encoded("PNG")).format == "PNG"
    thread.join()
    assert isinstance(outcome[0], Unavailable)
    wait_for(broker.is_idle, "its place is free")


def test_everything_is_gone_when_nothing_is_to_do(tmp_path: Path) -> None:
    with running_broker(tmp_path, worker_idle_seconds=0.1, template_idle_seconds=0.1) as broker:
        assert not broker.processes()
        inspect(broker, encoded("PNG"))
        assert len(broker.processes()) == 2
        wait_for(lambda: not broker.processes(), "they are gone")
        assert inspect(broker, encoded("PNG")).format == "PNG"


def test_descriptors_and_memory_are_given_back(broker: RunningBroker) -> None:
    def use(number: int) -> None:
        body = encoded("PNG", (400 + number, 300))
        broker.client.render(body, PRESETS["thumb"], priority=Priority.UPLOAD, deadline=soon())
        for bad in (b"text", body[:-40]):
            with pytest.raises((NotAnImage, BrokenImage)):
                inspect(broker, bad)

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    use(0)
    before = descriptors()
    for number in range(20):
        use(number)
    wait_for(lambda: descriptors() <= before, "none is left of the jobs")
    broker.workers()[0].kill()
    # The job that meets the dead worker may be refused, as one is that kills its worker.

    def used() -> bool:
        use(1)
        return True

    wait_for(used, "another worker takes over")
    wait_for(lambda: descriptors() <= before, "the killed worker's are closed")


# Connections


def test_a_replaced_broker_finishes_its_jobs(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        inspect(broker, encoded("PNG"))
        thread, outcome = started(lambda: inspect(broker, slow_image()))
        busy_worker(broker)
        broker.replace()
        thread.join()
        assert outcome[0].frames == FRAMES
        broker._thread.join(20)
        assert not broker._thread.is_alive()


def test_other_users_are_refused(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert broker.path.stat().st_mode & 0o777 == 0o600
    inspect(broker, encoded("PNG"))
    other = ImagingClient(broker.path)
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    with pytest.raises(Unavailable):
        other.inspect(encoded("PNG"), deadline=soon())


def test_without_a_broker_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not respond"):
        ImagingClient(tmp_path / "nothing.sock").inspect(b"x", deadline=soon())


def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with running_broker(folder) as broker:
        assert inspect(broker, encoded("PNG")).format == "PNG"


# Memory: none of these images is broken

SMALL_MEMORY = {"memory_bytes": 100 * MEGABYTE}
LARGE: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "progressive JPEG": ("JPEG", (6000, 3000), {"progressive": True, "subsampling": 0}),
    "WebP": ("WEBP", (3500, 3000), {"method": 0}),
    "AVIF": ("AVIF", (5000, 3000), {"speed": 10}),
    "TIFF": ("TIFF", (6000, 5000), {"compression": "tiff_lzw"}),
}


@cache
def large(name: str) -> bytes:
    kind, size, options = LARGE[name]
    return encoded(kind, size, **options)


@pytest.mark.parametrize("name", LARGE)
def test_an_image_that_takes_too_much_memory_is_not_called_broken(tmp_path: Path, name: str) -> None:
    with running_broker(tmp_path, **SMALL_MEMORY) as broker:
        with pytest.raises(TooLarge, match=r"IMAGING_MEMORY_MB \(100\)"):
            inspect(broker, large(name))
        assert broker.is_idle()


@pytest.mark.parametrize("name", LARGE)
def test_it_is_taken_where_there_is_memory(broker: RunningBroker, name: str) -> None:
    assert inspect(broker, large(name)).format == LARGE[name][0]


@pytest.mark.parametrize("name", LARGE)
def test_a_broken_one_is_broken_where_there_is_memory(broker: RunningBroker, name: str) -> None:
    body = large(name)
    with pytest.raises(BrokenImage):
        inspect(broker, body[: len(body) // 2] + bytes(2000) + body[len(body) // 2 + 2000 :][:-3000])


def test_an_image_that_was_thought_cheaper_gets_more(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second try has four times the memory."""
    real = broker.broker._again
    asked: list[int] = []

    def with_less(job: Any, memory_bytes: int) -> None:
        asked.append(memory_bytes)
        real(job, memory_bytes // 8 if len(asked) == 1 else memory_bytes)

    monkeypatch.setattr(broker.broker, "_again", with_less)
    assert inspect(broker, large("WebP")).format == "WEBP"
    assert len(asked) > 1


def test_memory_stays_within_its_budget_under_a_crowd_of_large_images(tmp_path: Path) -> None:
    with running_broker(tmp_path, memory_bytes=200 * MEGABYTE) as broker:
        threads = [started(partial(inspect, broker, large(name))) for name in [*LARGE, *LARGE]]
        most = 0
        while any(thread.is_alive() for thread, _ in threads):
            most = max(most, sum(_own_bytes(worker) for worker in broker.workers()))
            time.sleep(0.01)
        for thread, outcome in threads:
            thread.join()
            assert isinstance(outcome[0], TooLarge) or outcome[0].format, outcome
        assert 30 * MEGABYTE < most < 200 * MEGABYTE + 4 * 12 * MEGABYTE


def _own_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0
