from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest
from benchmarks.lib.processes import (
    StartFailed,
    answers,
    child,
    machine_busy_seconds,
    processor_seconds,
    pss_bytes,
    reserved_port,
    with_children,
)


def test_a_child_is_ready_in_the_block_and_gone_after_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    with child([sys.executable, "-c", code], tmp_path / "log", ready.exists) as process:
        assert process.is_running()
        assert pss_bytes(with_children(process)) > 1_000_000
    assert not psutil.pid_exists(process.pid)


def test_a_child_that_ends_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(StartFailed, match="no such thing"), child(command, tmp_path / "log", lambda: False):
        pass


def test_a_reserved_port_can_be_shared_by_those_who_ask_for_it_and_by_nobody_else() -> None:
    with reserved_port() as port:
        assert not answers(port)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with socket.socket() as sharing:
            sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sharing.bind(("127.0.0.1", port))
            sharing.listen()
            assert answers(port)


def test_times_grow() -> None:
    mine = psutil.Process(os.getpid())
    before = processor_seconds([mine]), machine_busy_seconds()
    sum(range(2_000_000))
    assert processor_seconds([mine]) >= before[0]
    assert machine_busy_seconds() >= before[1]
