"""The whole system on this machine, in the foreground, until a signal asks to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from elastic_images.core.errors import ElasticImagesError
from elastic_images.front import event_loop
from elastic_images.imaging.command import command as imaging_command
from elastic_images.process.ports import check_free
from elastic_images.process.stop_signals import StopSignals
from elastic_images.settings import Settings
from elastic_images.settings.addresses import imaging_socket, is_loopback
from elastic_images.supervisor import hangs
from elastic_images.supervisor.control import ControlSocket, control_path
from elastic_images.supervisor.data_folder import locked, make_writable
from elastic_images.supervisor.leftovers import kill_nodes
from elastic_images.supervisor.lifeline_pair import Lifeline
from elastic_images.supervisor.listeners import Listeners
from elastic_images.supervisor.loop import Supervisor
from elastic_images.supervisor.preparing import Prepared, prepare
from elastic_images.supervisor.processes import Managed, Wanted, command
from elastic_images.supervisor.running_urls import kept_urls

_log = logging.getLogger(__name__)
_STOP_ORDER = (("web", "manager"), ("autoscaler",), ("storage",), ("imaging",))
_LEFTOVER_SECONDS = 3.0
Say = Callable[[str], None]


def up(settings: Settings, say: Say) -> int:
    """Run the system. Returns the exit code once every process has stopped.

    Args:
        settings: as loaded; missing secrets are created.
        say: prints one line for the user.

    Raises:
        ElasticImagesError: the system cannot start; the message says why.
    """
    say = _tolerant(say)
    started_at = time.monotonic()
    for warning in settings.warnings():
        _warn_loudly(warning, say)
    if settings.hang_seconds and not hangs.supported():
        say("This system does not tell what a process does, so hung processes are not replaced.")
    if not event_loop.supported():
        say(
            "This system has no epoll, so slow clients and too many connections are not held off; put a proxy in front."
        )
    make_writable(settings.data)
    with _private_files(), StopSignals(children=True) as signals, locked(settings.data) as orderly:
        settings = settings.with_secrets()
        _check_ports(settings, wait_seconds=0.0 if orderly else 3.0)
        check_database = not orderly and settings.database.startswith("sqlite")
        if check_database:
            say("The last run did not end in order: checking the database.")
        prepared = prepare(settings, check_database=check_database)
        with Lifeline() as lifeline, ExitStack() as stack:
            broker = imaging_socket(settings.data)
            settings = replace(settings, lifeline_fd=lifeline.descriptor, imaging_socket=broker)
            wanted = wanted_processes(settings)
            listeners = stack.enter_context(Listeners(settings, wanted))
            environ = settings.to_environ()
            processes = [
                Managed(
                    process,
                    environ=environ,
                    lifeline=lifeline.descriptor,
                    clock=time.monotonic,
                    hang_seconds=_hang_seconds(settings),
                    listen_fd=descriptor,
                )
                for process, descriptor in zip(wanted, listeners.descriptors, strict=True)
            ]
            supervisor = Supervisor(processes, signals, steer=listeners.steer)
            with _stopping(supervisor, lifeline, listeners, settings, say):
                if supervisor.start(lambda process: say(f"  {process.wanted.name} is ready")):
                    with kept_urls(settings), ControlSocket(control_path(settings.data)) as control:
                        _greet(settings, prepared, time.monotonic() - started_at, say)
                        supervisor.keep_running(control)
    return 0


def _hang_seconds(settings: Settings) -> float:
    return settings.hang_seconds if hangs.supported() else 0.0


def wanted_processes(settings: Settings) -> list[Wanted]:
    """Everything that the supervisor starts. Nodes are started by the autoscaler."""
    counts = {
        "imaging": 1,
        "storage": settings.storage_processes,
        "autoscaler": 1,
        "web": settings.web_processes,
        "manager": 1,
    }
    return [
        Wanted(app if count == 1 else f"{app} {number}", app, _command(app, settings))
        for app, count in counts.items()
        for number in range(1, count + 1)
    ]


def _command(app: str, settings: Settings) -> Sequence[str]:
    return imaging_command(settings) if app == "imaging" else command("serve", app)


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """Make files readable by this user only, also those of processes started in the block.

    An existing data folder may be open to everyone, and the database holds hashes of passwords and tokens.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _check_ports(settings: Settings, *, wait_seconds: float) -> None:
    """Raise PortTaken for the first taken port. After a crash, old processes get a moment to exit."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            check_free(settings.host, [settings.port("web"), settings.port("manager")])
            inner = [settings.port("storage"), settings.port("autoscaler")]
            nodes = [settings.port("memcache", slot) for slot in range(8)] if settings.node_provider == "local" else []
            check_free(settings.internal_host, inner + nodes)
        except ElasticImagesError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def _stopping(
    supervisor: Supervisor, lifeline: Lifeline, listeners: Listeners, settings: Settings, say: Say
) -> Iterator[None]:
    """Stop everything that was started, however the block ends."""
    try:
        yield
    finally:
        say("Stopping.")
        listeners.close()
        supervisor.stop(_STOP_ORDER)
        lifeline.cut()  # the nodes exit
        if not lifeline.wait_until_alone(_LEFTOVER_SECONDS):
            kill_nodes(settings.data)
            if not lifeline.wait_until_alone(_LEFTOVER_SECONDS):
                _log.error("a process of the system does not exit")
        say("Stopped.")


def _greet(settings: Settings, prepared: Prepared, seconds: float, say: Say) -> None:
    say(f"Elastic Images is up after {seconds:.1f} s.")
    say(f"  images    {settings.url('web')}")
    say(f"  manager   {settings.url('manager')}")
    say(f"  data      {settings.data}")
    if prepared.upgraded:
        say("  upgraded  the database's schema from {before} to {after}".format(**prepared.upgraded))
        if prepared.upgraded["copy"]:
            say(f"  the database as it was before: {prepared.upgraded['copy']}")
    if prepared.first_start:
        say(f"  first administrator: {prepared.administrator}")
        password_file = settings.data / "admin-password"
        if settings.admin_password:
            say("  password: the one in ELASTIC_IMAGES_ADMIN_PASSWORD")
        else:
            say(f"  password: {password_file.read_text(encoding='utf-8').strip()}   (kept in {password_file})")
    if not is_loopback(settings.host):
        say(f"  Reachable from other machines: it listens on {settings.host}.")
    say("Ctrl-C stops it.")


def _tolerant(say: Say) -> Say:
    """`say`, but a closed terminal or pipe does not stop the system."""

    def quietly(line: str) -> None:
        with contextlib.suppress(OSError):
            say(line)

    return quietly


def _warn_loudly(warning: str, say: Say) -> None:
    say("*" * 78)
    say(f"WARNING: {warning}")
    say("*" * 78)
