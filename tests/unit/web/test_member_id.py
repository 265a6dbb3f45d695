"""The id under which a web process is a member: its own among all processes on all machines."""

from __future__ import annotations

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from elastic_images.web.membership import _random_name, _take_id


def test_processes_on_one_data_folder_differ_by_their_number(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(_take_id, [tmp_path] * 4))
    ids = {member_id for member_id, _ in taken}
    assert len(ids) == 4
    assert {member_id.split("-")[1] for member_id in ids} == set("0123")
    assert len({member_id.split("-")[2] for member_id in ids}) == 1
    for _, lock in taken:
        lock.close()


def test_machines_of_the_same_name_and_path_differ(tmp_path: Path) -> None:
    assert _random_name(tmp_path / "one") != _random_name(tmp_path / "another")
    assert _random_name(tmp_path / "one") == _random_name(tmp_path / "one"), "it is kept"


def test_a_copied_folder_on_another_machine_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    first, lock = _take_id(tmp_path / "one")
    lock.close()
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    second, lock = _take_id(tmp_path / "copy")
    lock.close()
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    third, lock = _take_id(tmp_path / "one")
    lock.close()
    assert len({first, second, third}) == 3
