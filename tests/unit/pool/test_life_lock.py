from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from elastic_images.core.errors import Conflict
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
