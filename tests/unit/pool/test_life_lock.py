from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from elastic_images.core.errors import Conflict
from elastic_images.pool import life_lock
from elastic_images.pool.life_lock import hold, holder, is_held


def test_a_lock_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "run" / "slot-0.lock"
    assert not is_held(path)
    with hold(path):
        assert is_held(path)
        assert holder(path) == os.getpid()
        with pytest.raises(Conflict):
            hold(path)
    assert not is_held(path)


def test_a_full_disk_does_not_keep_a_process_from_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with hold(tmp_path / "slot-0.lock"):
        assert is_held(tmp_path / "slot-0.lock")


def test_the_next_holder_knows_the_lives_of_the_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "slot-0.lock"
    with hold(path) as first:
        assert first.former == ()
        first.note(["a", "b"])
    with hold(path) as second:
        assert second.former == ("a", "b")
    with hold(path) as third:
        assert third.former == ("a", "b"), "the second died before it noted a life of its own"


def test_a_copy_of_the_file_proves_nothing(tmp_path: Path) -> None:
    """A copied data folder: the process that noted its lives there may be alive, under the lock of the original."""
    with hold(tmp_path / "slot-0.lock") as held:
        held.note(["a"])
        shutil.copy(tmp_path / "slot-0.lock", tmp_path / "copy.lock")
        with hold(tmp_path / "copy.lock") as copy:
            assert copy.former == ()


def test_a_file_from_another_machine_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance started from an image of another one has its files, and the same paths."""
    path, boot = tmp_path / "slot-0.lock", tmp_path / "boot"
    boot.write_text("one\n")
    monkeypatch.setattr(life_lock, "_BOOT_ID", boot)
    with hold(path) as held:
        held.note(["a"])
    boot.write_text("another\n")
    with hold(path) as there:
        assert there.former == ()
    boot.unlink()
    with hold(path) as nowhere:
        nowhere.note(["b"])
    with hold(path) as still_nowhere:
        assert still_nowhere.former == ()


@pytest.mark.parametrize("noted", ["", "{", "[]", '{"pid": 1}', '{"place": null, "incarnations": ["a"]}', "\x80"])
def test_what_cannot_be_read_proves_nothing(tmp_path: Path, noted: str) -> None:
    path = tmp_path / "slot-0.lock"
    path.write_bytes(noted.encode("latin-1"))
    with hold(path) as held:
        assert held.former == ()
