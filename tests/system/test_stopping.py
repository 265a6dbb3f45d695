"""Starting and stopping: nothing is left, nothing is shared, and a start that cannot work says why."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from testing.photographs import Photograph
from testing.system import COMMAND, System, environment, free_offset
from tests.system.conftest import StartSystem


@pytest.mark.parametrize("ctrl_c", [False, True])
def test_a_signal_stops_everything_and_leaves_no_process(
    start_system: StartSystem, few: tuple[Photograph, ...], ctrl_c: bool
) -> None:
    system = start_system(nodes=2)
    assert system.admin().put("k1", few[0].body).status == 201
    with socket.create_connection(("127.0.0.1", system.port()), timeout=60) as slow:
        # An upload that never ends must not hold the exit.
        slow.sendall(b"PUT /api/images/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nhalf")
        if ctrl_c:
            assert system.process is not None
            os.killpg(system.process.pid, signal.SIGINT)  # what a terminal does
            assert system.process.wait(60) == 0
            assert system.processes() == []
        else:
            assert system.stop() == 0
    printed = system.log_path.read_text()
    assert printed.rstrip().endswith("Stopped.")
    assert "Traceback" not in printed


def test_what_was_stored_is_there_after_a_restart(start_system: StartSystem, few: tuple[Photograph, ...]) -> None:
    system = start_system(nodes=2)
    for photograph in few:
        assert system.admin().put(photograph.name, photograph.body).status == 201
    system.scale(3)
    token = system.admin().token
    system.stop()
    system.start()
    assert system.admin().token == token
    system.wait_settled(3)
    for photograph in few:
        assert system.client().get(photograph.name).body == photograph.body


def test_two_systems_side_by_side(system: System, start_system: StartSystem, few: tuple[Photograph, ...]) -> None:
    one, other = start_system(), system
    assert one.offset != other.offset
    assert one.admin().put("k1", few[0].body).status == 201
    assert other.client().get("k1").status == 404
    assert other.admin().put("k1", few[1].body).status == 201
    assert one.client().get("k1").body == few[0].body
    assert other.client().get("k1").body == few[1].body
    # The token of one opens nothing in the other.
    assert other.client(one.admin().token).put("k2", few[0].body).status == 401
    one.stop()
    assert other.client().get("k1").body == few[1].body


def failed_start(data: Path, offset: int, **settings: object) -> str:
    """What `up` says when it refuses to start."""
    done = subprocess.run(
        [str(COMMAND), "up"],
        env=environment({"data": data, "port_offset": offset, **settings}),
        cwd=data.parent if data.parent.is_dir() else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, 70)
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("base", [5000, 5001, 5003, 4000, 4003])
def test_a_taken_port_is_named_with_a_free_offset(tmp_path: Path, base: int) -> None:
    with free_offset() as offset, socket.create_server(("127.0.0.1", base + offset)):
        message = failed_start(tmp_path / "data", offset)
    assert str(base + offset) in message
    assert "--port-offset" in message


def test_a_data_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with free_offset() as offset:
        message = failed_start(tmp_path / "file" / "data", offset)
    assert "file" in message


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("node_provider", "ec2://here", "ec2://"),
        ("metrics", "cloudwatch://AWS/Mine", "does not start with AWS/"),
        ("metrics", "cloudwatch://Mine", "set AWS_DEFAULT_REGION"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, words: str
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with free_offset() as offset:
        message = failed_start(tmp_path / "data", offset, **{setting: value})
    assert words in message
    assert "serving on" not in message
