"""Hung processes: told from busy, starved, starting and debugged ones."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from testing.clock import Clock
from testing.waiting import wait_for

from elastic_images.supervisor.hangs import STOPPED_SECONDS, HangDetector, Threads, look, supported

HANG_SECONDS = 20.0
PID = 4711


class Kernel:
    """What the kernel says of the process; threads 1 and 2 are active for these seconds in each second."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.state = "S"
        self.share = 0.0
        self.gone = False
        self._active = 0.0

    def __call__(self, pid: int) -> Threads | None:
        assert pid == PID
        self._active += self.share / 2
        return None if self.gone else Threads(self.state, {1: self._active, 2: self._active})


class Case:
    def __init__(self, hang_seconds: float = HANG_SECONDS) -> None:
        self.clock = Clock()
        self.kernel = Kernel(self.clock)
        self.detector = HangDetector(hang_seconds, self.kernel)

    def beat(self, front: float = 0.1) -> None:
        self.detector.beat({"front": front}, self.clock.now)

    def seconds_until_hung(self, most: int = 100, *, beat: float | None = None, step: float = 1.0) -> float | None:
        """Observe it each second, with such a heartbeat or without."""
        began = self.clock.now
        for _ in range(most):
            if beat is not None:
                self.beat(beat)
            if self.why() is not None:
                return self.clock.now - began
            self.clock.now += step
        return None

    def why(self) -> str | None:
        return self.detector.why_hung(PID, self.clock.now)


def test_a_process_that_sends_its_heartbeat_is_well_and_the_kernel_is_not_asked() -> None:
    case = Case()
    case.kernel.state = "T"
    assert case.seconds_until_hung(beat=0.2) is None


def test_a_silent_idle_process_hangs_after_hang_seconds() -> None:
    case = Case()
    case.beat()
    took = case.seconds_until_hung()
    assert took is not None
    assert HANG_SECONDS <= took <= HANG_SECONDS + 8
    assert case.why() == f"no heartbeat for {took:.0f} s, and it was idle"


def test_a_loop_that_does_not_turn_is_silence_and_is_named() -> None:
    case = Case()
    case.beat()
    assert case.seconds_until_hung(beat=30.0) is not None
    assert "front did not turn for" in str(case.why())


def test_a_process_that_computes_or_waits_for_a_processor_does_not_hang() -> None:
    case = Case()
    case.beat()
    case.kernel.share = 0.06
    assert case.seconds_until_hung() is None
    case.kernel.share, case.kernel.state = 0.0, "R"
    assert case.seconds_until_hung() is None
    case.kernel.state = "S"
    assert case.seconds_until_hung() is not None


def test_a_heartbeat_ends_the_silence() -> None:
    case = Case()
    case.beat()
    assert case.seconds_until_hung(18) is None
    case.beat()
    assert case.seconds_until_hung(18) is None


def test_a_stopped_process_is_hung_soon_even_while_it_starts() -> None:
    case = Case()
    case.kernel.state = "T"
    took = case.seconds_until_hung()
    assert took is not None
    assert STOPPED_SECONDS <= took <= STOPPED_SECONDS + 2
    assert "stopped for" in str(case.why())


def test_a_process_that_was_stopped_for_a_moment_is_not_hung() -> None:
    case = Case()
    for state in "TTTTSTTTTS":
        case.kernel.state = state
        assert case.seconds_until_hung(1) is None


def test_a_starting_process_is_waited_for_however_long_it_takes() -> None:
    assert Case().seconds_until_hung(5_000) is None


def test_a_process_that_a_debugger_holds_is_left_alone() -> None:
    case = Case()
    case.beat()
    case.kernel.state = "t"
    assert case.seconds_until_hung() is None


def test_a_pause_of_the_supervisor_itself_is_not_held_against_the_process() -> None:
    case = Case()
    case.beat()
    case.kernel.state = "T"
    assert case.why() is None
    case.clock.now += 3_600
    assert case.why() is None


def test_zero_means_never() -> None:
    case = Case(0.0)
    case.beat()
    case.kernel.state = "T"
    assert case.seconds_until_hung() is None


def test_a_process_that_is_gone_is_not_hung() -> None:
    case = Case()
    case.kernel.gone = True
    assert case.seconds_until_hung() is None


@pytest.mark.skipif(not supported(), reason="the kernel does not tell")
def test_the_kernel_tells_stopped_from_sleeping_and_from_computing() -> None:
    program = "import sys, time; sys.stdin.readline(); exec('while True: pass')"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:

        def state() -> str:
            found = look(process.pid)
            assert found is not None
            return found.state

        wait_for(lambda: state() == "S", "it sleeps")
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: state() == "T", "it is stopped")
        process.send_signal(signal.SIGCONT)
        before = look(process.pid)
        assert before is not None
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_for(lambda: state() == "R", "it computes")

        def grown() -> bool:
            now = look(process.pid)
            return now is not None and sum(now.active_seconds.values()) > sum(before.active_seconds.values())

        wait_for(grown, "its time grows")
        process.kill()
    assert look(process.pid) is None


def test_a_thread_that_waits_for_a_processor_shows_as_running(tmp_path: Path) -> None:
    folder = tmp_path / "77"
    for thread, state in ((77, "S"), (78, "R")):
        (folder / "task" / str(thread)).mkdir(parents=True)
        (folder / "task" / str(thread) / "stat").write_text(f"{thread} (a ) b) {state} 1 2 3")
        (folder / "task" / str(thread) / "schedstat").write_text("1500000000 500000000 7\n")
    (folder / "stat").write_text("77 (a ) b) S 1 2 3")
    assert look(77, tmp_path) == Threads("R", {77: 2.0, 78: 2.0})
    assert look(78, tmp_path) is None
    assert not supported(tmp_path)
