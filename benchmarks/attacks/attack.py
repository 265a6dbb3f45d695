"""The attacks that are measured."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import NamedTuple

from PIL import Image
from testing.system import System

from benchmarks.attacks.crowd import Crowd

HOT = "attacks/hot"
LARGE = "attacks/large"
_LARGE_SIDE = 2820
_FIELDS = "Host: localhost\r\n"


class Attack(NamedTuple):
    """Something that strangers do for a while."""

    name: str
    what: str
    begin: Callable[[System], contextlib.AbstractContextManager[None]]
    """Goes on while the block runs."""


@contextlib.contextmanager
def crowds(*wanted: Crowd) -> Iterator[None]:
    """Crowds that misbehave while the block runs, each in a process of its own, in a session of its own.

    Linux shares the processors among sessions first (autogroup), so they slow nobody else's computing.
    """
    with contextlib.ExitStack() as stack:
        processes = []
        for crowd in wanted:
            command = [sys.executable, "-m", "benchmarks.attacks.crowd", json.dumps(asdict(crowd))]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
            )
            stack.callback(_end, process)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError("the attackers did not come")
        yield


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _slow_bodies(system: System) -> contextlib.AbstractContextManager[None]:
    token = (system.data / "cli-token").read_text().strip()
    login = f"POST /login HTTP/1.1\r\n{_FIELDS}Content-Type: application/x-www-form-urlencoded\r\n"
    upload = f"PUT /api/images/attacks/slow HTTP/1.1\r\n{_FIELDS}Authorization: Bearer {token}\r\n"
    web, manager = system.port("web"), system.port("manager")
    return crowds(
        Crowd(web, 100, f"{login}Content-Length: 100\r\n\r\n"),
        Crowd(web, 100, f"{login}Content-Length: 60000\r\n\r\nname=a", trickle_seconds=0.5),
        Crowd(web, 100, f"{upload}Content-Length: 10000000\r\n\r\n", trickle_seconds=0.5),
        Crowd(manager, 300, f"{login}Content-Length: 100\r\n\r\n", trickle_seconds=5.0),
    )


def _pipelining(system: System) -> contextlib.AbstractContextManager[None]:
    return crowds(Crowd(system.port("web"), 64, f"GET /images/{HOT} HTTP/1.1\r\n{_FIELDS}\r\n", ahead=200))


def _slow_readers(system: System) -> contextlib.AbstractContextManager[None]:
    if system.admin().metadata(LARGE).status != 200:
        picture = io.BytesIO()
        noise = os.urandom(3 * _LARGE_SIDE**2)
        Image.frombytes("RGB", (_LARGE_SIDE, _LARGE_SIDE), noise).save(picture, "PNG", compress_level=1)
        assert system.admin().put(LARGE, picture.getvalue()).status == 201
        assert system.client().get(LARGE).status == 200
    read = f"GET /images/{LARGE} HTTP/1.1\r\n{_FIELDS}\r\n"
    # HTTP/1.0 with kept connections is Granian's.
    odd = f"GET /images/{LARGE} HTTP/1.0\r\n{_FIELDS}Connection: keep-alive\r\n\r\n"
    web = system.port("web")
    return crowds(
        Crowd(web, 80, read, read_bytes_per_second=20_000, stagger_seconds=0.05),
        Crowd(web, 20, odd, read_bytes_per_second=20_000, stagger_seconds=0.2),
    )


def _idle(system: System) -> contextlib.AbstractContextManager[None]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    each = min(10_000, files - 100)
    return crowds(
        *(Crowd(system.port("web"), each, source=f"127.0.0.{2 + number}", return_seconds=5.0) for number in range(2))
    )


def _idle_botnet(system: System) -> contextlib.AbstractContextManager[None]:
    """Each address stays below its bound."""
    return crowds(
        *(Crowd(system.port("web"), 250, source=f"127.0.1.{1 + number}", return_seconds=5.0) for number in range(40))
    )


ATTACKS = (
    Attack("slow-bodies", "300 slow bodies on web, 300 on the manager", _slow_bodies),
    Attack("pipelining", "64 clients that send hits ahead", _pipelining),
    Attack("slow-readers", "100 slow readers of an image of 24 MB", _slow_readers),
    Attack("idle", "20,000 idle connections from two addresses", _idle),
    Attack("idle-botnet", "10,000 idle connections from 40 addresses", _idle_botnet),
)
