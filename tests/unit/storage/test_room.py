"""Free space is kept in reserve: on a disk of the test's, and by the file system's own account."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from testing.clock import Clock
from testing.settings import make_settings

from elastic_images.core.errors import OutOfSpace
from elastic_images.storage.room import Room, written_folders

MB = 1_000_000
LARGE = 10**12


@dataclass
class Disk:
    """A disk whose free space a test sets; it counts how often it was looked at."""

    f_bavail: int = 10 * MB
    f_blocks: int = 100 * MB
    f_frsize: int = 1
    looks: int = 0

    def __call__(self, _folder: Path) -> Disk:
        self.looks += 1
        return self


def room_on(disk: Disk, reserve_bytes: int = LARGE, clock: Clock | None = None) -> Room:
    return Room([Path("/")], reserve_bytes, statvfs=disk, clock=clock or Clock())


@pytest.mark.parametrize(
    ("free", "size", "reserve", "fits"),
    [
        (2 * MB, 100 * MB, LARGE, True),  # 1 % of the disk, and the upload twice
        (2 * MB - 1, 100 * MB, LARGE, False),
        (500 * MB + MB, LARGE, 500 * MB, True),
        (500 * MB + MB - 1, LARGE, 500 * MB, False),
        (MB, LARGE, 0, True),
    ],
)
def test_an_upload_must_leave_the_reserve(free: int, size: int, reserve: int, fits: bool) -> None:
    room = room_on(Disk(f_bavail=free, f_blocks=size), reserve)
    if fits:
        with room.claim(MB // 2):
            pass
    else:
        with pytest.raises(OutOfSpace, match="too little disk space"), room.claim(MB // 2):
            pytest.fail("it was let in")


def test_without_folders_everything_fits() -> None:
    with Room().claim(LARGE):
        pass


def test_the_disk_is_looked_at_once_a_second() -> None:
    disk, clock = Disk(), Clock()
    room = room_on(disk, clock=clock)
    for _ in range(100):
        with room.claim(1):
            pass
    assert disk.looks == 1
    clock.now += 1.0
    with room.claim(1):
        assert disk.looks == 2


def test_uploads_under_way_count_and_so_do_those_since_the_last_look() -> None:
    disk, clock = Disk(f_bavail=5 * MB), Clock()
    room = room_on(disk, clock=clock)
    with room.claim(MB):
        with pytest.raises(OutOfSpace), room.claim(2 * MB):
            pytest.fail("both do not fit")
        with room.claim(MB):
            pass
    disk.f_bavail = 3 * MB  # the two were written
    with room.claim(MB):
        pass
    disk.f_bavail = MB
    with pytest.raises(OutOfSpace), room.claim(1):
        pytest.fail("only the reserve is left")
    disk.f_bavail = 5 * MB
    with room.claim(MB):
        pass


def test_the_disk_with_the_least_room_counts() -> None:
    disks = {Path("/usr"): Disk(f_bavail=50 * MB), Path("/tmp"): Disk(f_bavail=3 * MB)}  # noqa: S108
    room = Room(list(disks), LARGE, statvfs=lambda folder: disks[folder], clock=Clock())
    room.look()
    assert room.free_bytes == 3 * MB
    disks[Path("/usr")].f_bavail = 0
    room.look()
    with pytest.raises(OutOfSpace, match="too little"):
        room.check()


def test_folders_that_are_not_there_yet_count_as_those_above_them(tmp_path: Path) -> None:
    room = Room([tmp_path / "not" / "there"], 0)
    room.look()
    assert room.free_bytes > 0


def test_what_storage_writes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert set(written_folders(make_settings(data))) == {data, data / "objects"}
    far = make_settings(data, object_store="s3://bucket/x", database="postgresql://u:p@host/name")
    assert written_folders(far) == [data]
    apart = make_settings(data, object_store="file:///srv/my%20images", database="sqlite:////var/db/images.db")
    assert written_folders(apart) == [data, Path("/srv/my images"), Path("/var/db")]
