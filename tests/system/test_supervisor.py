"""The supervisor's loop, on small processes instead of apps."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest
from testing.system import free_offset
from testing.waiting import wait_for

from elastic_images.core.errors import InvalidRequest
from elastic_images.pool.life_lock import node_lock_path
from elastic_images.process.ports import PortTaken, bind, check_free
from elastic_images.process.stop_signals import StopSignals
from elastic_images.process.unix_sockets import address_of
from elastic_images.settings import Settings
from elastic_images.settings.addresses import imaging_socket
from elastic_images.supervisor import hangs
from elastic_images.supervisor.control import ControlSocket
from elastic_images.supervisor.data_folder import DataFolderLocked, locked, make_writable
from elastic_images.supervisor.leftovers import kill_nodes
from elastic_images.supervisor.lifeline_pair import Lifeline
from elastic_images.supervisor.listeners import Listeners
from elastic_images.supervisor.loop import NotStarted, Supervisor
from elastic_images.supervisor.processes import Managed, Wanted, describe_exit, restart_delay_seconds
from elastic_images.supervisor.up import wanted_processes

READY = "import os, sys, time, signal; os.write(int(sys.argv[2]), b'{}'); "
SERVES = READY + "time.sleep(60)"
IGNORES_TERM = "import signal; signal.signal(15, signal.SIG_IGN); " + SERVES
DIES_AT_ONCE = "raise SystemExit(3)"
SILENT = "import time; time.sleep(60)"
WATCHES = "import os, sys; os.write(int(sys.argv[2]), b'{}'); os.read(int(os.environ['LIFE']), 1)"
ORDER = [["late"], ["early"]]


class Clock:
    """Real time, and as much more as a test says."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., Supervisor]


@pytest.fixture
def make(clock: Clock) -> Iterator[Make]:
    """Makes a supervisor of processes given by name and program; all are killed at the end."""
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals(children=True))
        lifeline = stack.enter_context(Lifeline())

        def build(listen_fd: int | None = None, /, **programs: str) -> Supervisor:
            environ = {**os.environ, "LIFE": str(lifeline.descriptor)}
            processes = [
                Managed(
                    Wanted(name, name, [sys.executable, "-c", program]),
                    environ=environ,
                    lifeline=lifeline.descriptor,
                    clock=clock,
                    hang_seconds=20.0,
                    listen_fd=listen_fd,
                )
                for name, program in programs.items()
            ]
            stack.callback(end, processes)
            return Supervisor(processes, signals, clock=clock)

        yield build


def end(processes: list[Managed]) -> None:
    for process in processes:
        process.signal(signal.SIGKILL)
        while process.pid is not None:
            process.reap()


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    return next(process.pid for process in supervisor._processes if process.wanted.name == name)


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def term_when(condition: Callable[[], object]) -> threading.Thread:
    """Send this process SIGTERM once the condition holds, from another thread: this one is the supervisor's."""

    def work() -> None:
        try:
            wait_for(condition, "the condition")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    return in_background(work)


def serves_after(path: Path) -> str:
    """A program that is ready once the path exists."""
    return f"import pathlib, time\nwhile not pathlib.Path({str(path)!r}).exists(): time.sleep(0.01)\n{SERVES}"


def test_it_starts_everything_and_says_when_each_is_ready(make: Make) -> None:
    ready: list[str] = []
    supervisor = make(early=SERVES, late=SERVES)
    assert supervisor.start(lambda process: ready.append(process.wanted.name))
    assert sorted(ready) == ["early", "late"]
    supervisor.stop(ORDER)
    assert pid_of(supervisor, "early") is None
    assert pid_of(supervisor, "late") is None


def test_a_process_that_dies_before_it_is_ready_ends_the_start(make: Make) -> None:
    supervisor = make(early=SERVES, late=DIES_AT_ONCE)
    with pytest.raises(NotStarted, match=r"late did not start \(exit code 3\)"):
        supervisor.start(lambda _process: None)
    supervisor.stop(ORDER)
    assert pid_of(supervisor, "early") is None


def test_a_slow_start_is_waited_for_and_mentioned(
    make: Make, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go = tmp_path / "go"
    supervisor = make(early=SERVES, late=serves_after(go))
    ready: list[str] = []

    def note(process: Managed) -> None:
        ready.append(process.wanted.name)
        clock.ahead = 1000.0

    def release() -> None:
        try:
            wait_for(lambda: "late is still starting (10" in caplog.text, "it is mentioned")
        finally:
            go.touch()

    thread = in_background(release)
    assert supervisor.start(note)
    thread.join()
    assert ready == ["early", "late"]
    supervisor.stop(ORDER)


def test_who_dies_while_another_is_starting_is_started_again(make: Make, tmp_path: Path) -> None:
    go = tmp_path / "go"
    supervisor = make(early=SERVES, late=serves_after(go))
    early = supervisor._processes[0]

    def work(first: int) -> None:
        try:
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: early.pid not in (None, first), "it is started again")
        finally:
            go.touch()

    threads = []

    def note(process: Managed) -> None:
        if process is early:
            assert process.pid is not None
            threads.append(in_background(partial(work, process.pid)))

    assert supervisor.start(note)
    threads[0].join()
    supervisor.stop(ORDER)


@pytest.mark.skipif(not hangs.supported(), reason="this system does not tell what a process does")
@pytest.mark.parametrize("ready", [True, False])
def test_a_stopped_process_is_killed_and_replaced(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, ready: bool
) -> None:
    stop_once = (
        f"import os, pathlib, time\nseen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "if not seen.exists(): seen.touch(); os.kill(os.getpid(), 19)\n"
    )
    supervisor = make(early=READY + stop_once + "time.sleep(60)" if ready else stop_once + SERVES)
    (process,) = supervisor._processes
    thread = term_when(lambda: "early exited" in caplog.text and process.ready)
    if supervisor.start(lambda _process: None):
        supervisor.keep_running()
    thread.join()
    assert "early hangs (stopped for" in caplog.text
    assert "early exited (killed by SIGKILL)" in caplog.text
    supervisor.stop(ORDER)


def test_a_signal_ends_the_start(make: Make) -> None:
    supervisor = make(early=SILENT)
    thread = term_when(lambda: pid_of(supervisor, "early"))
    assert not supervisor.start(lambda _process: None)
    thread.join()
    supervisor.stop(ORDER)


def test_what_dies_is_started_again_at_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = make(early=SERVES, late=SERVES)
    supervisor.start(lambda _process: None)
    first, other = pid_of(supervisor, "early"), pid_of(supervisor, "late")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    thread = term_when(lambda: pid_of(supervisor, "early") not in (None, first))
    supervisor.keep_running()
    thread.join()
    assert pid_of(supervisor, "late") == other, "nobody else is touched"
    assert "early exited (killed by SIGKILL); restarting it in 0.0 s" in caplog.text
    supervisor.stop(ORDER)


def test_what_dies_again_and_again_is_started_more_slowly() -> None:
    assert [restart_delay_seconds(deaths) for deaths in range(1, 8)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0]


def test_who_lived_long_starts_with_a_clean_slate(make: Make, clock: Clock) -> None:
    supervisor = make(early=SERVES)
    (process,) = supervisor._processes
    delays = []
    for lived in (0.0, 0.0, 100.0):
        process.start()
        clock.ahead += lived
        process.signal(signal.SIGKILL)
        wait_for(lambda: process.reap() is not None, "it is reaped")
        delays.append(round(process.next_start_at - clock(), 1))
    assert delays == [0.0, 0.5, 0.0]


def test_the_stop_goes_group_by_group(make: Make, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.touch()
    program = (
        "import signal, sys; "
        f"signal.signal(15, lambda *_: (open({str(notes)!r}, 'a').write('NAME '), sys.exit())); " + SERVES
    )
    supervisor = make(early=program.replace("NAME", "early"), late=program.replace("NAME", "late"))
    supervisor.start(lambda _process: None)
    supervisor.stop(ORDER)
    assert notes.read_text() == "late early "


def test_who_does_not_stop_is_killed(make: Make, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = make(early=IGNORES_TERM)
    supervisor.start(lambda _process: None)
    real_signal = supervisor._processes[0].signal

    def advance(number: int) -> None:
        real_signal(number)
        clock.ahead += 7.9

    supervisor._processes[0].signal = advance  # type: ignore[method-assign]
    supervisor.stop(ORDER)
    assert pid_of(supervisor, "early") is None
    assert "early did not stop in time; killing it" in caplog.text


def test_a_further_signal_kills_at_once(make: Make) -> None:
    supervisor = make(early=IGNORES_TERM)
    supervisor.start(lambda _process: None)
    real_signal = supervisor._processes[0].signal
    sent: list[int] = []

    def send(number: int) -> None:
        real_signal(number)
        sent.append(number)
        if number == signal.SIGTERM:
            os.kill(os.getpid(), signal.SIGTERM)

    supervisor._processes[0].signal = send  # type: ignore[method-assign]
    supervisor.stop(ORDER)
    assert pid_of(supervisor, "early") is None
    assert sent == [signal.SIGTERM, signal.SIGKILL]


def test_ctrl_c_in_the_terminal_reaches_the_supervisor_alone(make: Make) -> None:
    supervisor = make(early=SERVES)
    supervisor.start(lambda _process: None)
    pid = pid_of(supervisor, "early")
    assert pid is not None
    assert os.getsid(pid) == pid
    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_lifeline_ends_whoever_holds_it_and_tells_when_all_are_gone(make: Make) -> None:
    supervisor = make(early=WATCHES)
    supervisor.start(lambda _process: None)
    with Lifeline() as line:
        holder = subprocess.Popen(
            [sys.executable, "-c", f"import os; os.read({line.descriptor}, 1)"], pass_fds=[line.descriptor]
        )
        line.cut()
        assert line.wait_until_alone(20)
        assert holder.wait(60) == 0
    assert pid_of(supervisor, "early") is not None, "it holds another lifeline"


def test_the_lifeline_says_that_somebody_is_left() -> None:
    with Lifeline() as line:
        holder = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[line.descriptor])
        line.cut()
        assert not line.wait_until_alone(0.1)
        holder.kill()
        holder.wait()
        assert line.wait_until_alone(20)


def test_a_node_that_does_not_leave_is_killed(tmp_path: Path) -> None:
    path = node_lock_path(tmp_path, 3)
    program = (
        "import pathlib, time; from elastic_images.pool.life_lock import hold; "
        f"x = hold(pathlib.Path({str(path)!r})); time.sleep(60)"
    )
    node = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: path.is_file() and path.read_text(), "the node holds its lock")
    node.send_signal(signal.SIGSTOP)
    kill_nodes(tmp_path)
    assert node.wait(60) == -signal.SIGKILL
    kill_nodes(tmp_path)  # the lock is left, its holder is not


def test_a_data_folder_is_one_systems_alone(tmp_path: Path) -> None:
    with locked(tmp_path) as orderly:
        assert orderly
        with pytest.raises(DataFolderLocked, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
    with locked(tmp_path) as orderly:
        assert orderly, "the last one left in order"


def test_a_lock_of_who_was_killed_is_free_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123456\n")
    with locked(tmp_path) as orderly:
        assert not orderly
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    with locked(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        with (tmp_path / "lock").open() as stream:
            wait_for(lambda: fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB) is None, "the lock is free")  # type: ignore[func-returns-value]
    finally:
        child.kill()
        child.wait()


def test_a_data_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    make_writable(tmp_path / "new" / "data")
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "new" / "data").iterdir()) == []


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(InvalidRequest, match="Cannot write to"):
        make_writable(tmp_path / "data")


def test_an_exit_code_in_words() -> None:
    assert describe_exit(0) == "exit code 0"
    assert describe_exit(-9) == "killed by SIGKILL"
    assert describe_exit(-99) == "killed by signal 99"


def test_the_processes_of_an_app_get_a_socket_each_on_its_port(tmp_path: Path) -> None:
    with free_offset() as offset:
        settings = Settings.load({"data": str(tmp_path), "port_offset": str(offset), "web_processes": "2"}, {})
        wanted = wanted_processes(settings)
        with Listeners(settings, wanted) as listeners:
            ports = [socket.socket(fileno=os.dup(fd)) for fd in listeners.descriptors]
            assert ports[0].getsockname() == str(imaging_socket(tmp_path))
            named = [(process.app, one.getsockname()[1]) for process, one in zip(wanted[1:], ports[1:], strict=True)]
            assert named == [(process.app, settings.port(process.app)) for process in wanted[1:]]
            for one in ports:
                one.close()
            with pytest.raises(PortTaken), Listeners(settings, wanted[1:2]):
                pass
        check_free("127.0.0.1", [settings.port("web"), settings.port("storage")])


def test_a_connection_waits_for_the_next_process(make: Make) -> None:
    accepts = (
        "import os, socket, sys; os.write(int(sys.argv[2]), b'{}'); "
        "listener = socket.socket(fileno=int(sys.argv[6])); "
        "listener.accept()[0].send(str(os.getpid()).encode())"
    )
    with bind("127.0.0.1", 0) as listener:
        supervisor = make(listener.fileno(), early=accepts)
        supervisor.start(lambda _process: None)
        pids = []

        def ask() -> None:
            for _ in range(3):  # each process accepts one connection and exits
                with socket.create_connection(listener.getsockname(), 60) as client:
                    pids.append(client.recv(100))

        asking = in_background(ask)
        thread = term_when(lambda: not asking.is_alive())
        supervisor.keep_running()
        thread.join()
    assert len(set(pids)) == len(pids) == 3
    supervisor.stop(ORDER)


class Reloading:
    """Asks a supervisor that runs in this thread to reload, from another thread, and stops it at the end."""

    def __init__(self, supervisor: Supervisor, folder: Path, on_line: Callable[[dict[str, object]], None]) -> None:
        self.lines: list[dict[str, object]] = []
        self._path = folder / "socket"
        self._on_line = on_line
        supervisor.start(lambda _process: None)
        with ControlSocket(self._path) as control:
            thread = in_background(self._ask)
            supervisor.keep_running(control)
            thread.join()
        supervisor.stop(ORDER)

    def _ask(self) -> None:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self._path))
                client.sendall(b'{"command": "reload"}\n')
                for line in client.makefile():
                    self.lines.append(json.loads(line))
                    self._on_line(self.lines[-1])
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


def nothing(_line: dict[str, object]) -> None:
    pass


def test_a_reload_replaces_one_process_after_another(make: Make, tmp_path: Path) -> None:
    supervisor = make(early=SERVES, late=SERVES)
    reloading = Reloading(supervisor, tmp_path, nothing)
    assert reloading.lines == [
        {"process": "early", "state": "starting"},
        {"process": "early", "state": "new"},
        {"process": "late", "state": "starting"},
        {"process": "late", "state": "new"},
        {"done": True, "ok": True, "new": ["early", "late"], "old": {}},
    ]


def only_once(folder: Path, later: str) -> str:
    """A program that serves the first time, and does something else later."""
    marker = folder / "started"
    first = f"import os; again = os.path.exists({str(marker)!r}); open({str(marker)!r}, 'w').close()"
    return f"{first}\nif again:\n    {later}\n{SERVES}"


def test_a_new_process_that_dies_leaves_the_old_one(make: Make, tmp_path: Path) -> None:
    supervisor = make(early=only_once(tmp_path, DIES_AT_ONCE), late=SERVES)
    seen = []
    reloading = Reloading(supervisor, tmp_path, lambda _line: seen.append(pid_of(supervisor, "early")))
    assert len(set(seen)) == 1
    why = "the new process ended before it was ready (exit code 3)"
    assert reloading.lines[-1] == {"done": True, "ok": False, "new": ["late"], "old": {"early": why}}


def test_a_new_process_that_is_never_ready_is_killed(make: Make, tmp_path: Path, clock: Clock) -> None:
    def wait_long(line: dict[str, object]) -> None:
        clock.ahead += 1000.0 if line.get("state") == "starting" else 0.0

    supervisor = make(early=only_once(tmp_path, SILENT))
    reloading = Reloading(supervisor, tmp_path, wait_long)
    why = "the new process was not ready after 120 s"
    assert reloading.lines[-1] == {"done": True, "ok": False, "new": [], "old": {"early": why}}


def test_an_old_process_that_does_not_exit_is_killed(
    make: Make, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = make(early="import signal; signal.signal(10, signal.SIG_IGN); " + SERVES)

    def wait_long(line: dict[str, object]) -> None:
        if line.get("done"):
            (old,) = supervisor._leaving
            clock.ahead += 1000.0
            wait_for(lambda: old.pid is None, "it is killed")

    Reloading(supervisor, tmp_path, wait_long)
    assert "the old process of early did not exit; killing it" in caplog.text


def test_a_control_socket_with_a_long_path_works(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120) / "socket"
    with ControlSocket(path) as control, socket.socket(socket.AF_UNIX) as client, address_of(path) as address:
        client.connect(address)
        client.sendall(b"[1]\n")
        ((asker, request),) = control.requests()
        assert request == [1]
        asker.close()
