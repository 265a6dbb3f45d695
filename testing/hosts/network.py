"""Hosts as network namespaces on one switch (iproute2, needs root): pull a cable, or lose packets in one direction.

Nothing of it is seen in the machine's own network: the switch, a bridge, has a namespace, too. Addresses may repeat
between runs; the namespaces' names carry the process's id. Those of a run that was killed are removed by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil
from tests.conftest import MISSING_RIGHTS

_PREFIX = "ei-"
_CLONE_NEWNET = 0x40000000
_NOBODY = "02:00:00:00:00:01"
"""An Ethernet address that no host has: packets to it are silently lost."""


@dataclass(slots=True)
class Network:
    """Hosts by name. Not safe to share between threads, apart from `inside`, `address` and `namespace`."""

    hosts: tuple[str, ...]
    _unplugged: set[str] = field(default_factory=set)
    _losing: set[tuple[str, str]] = field(default_factory=set)

    def address(self, host: str) -> str:
        """A host's IPv4 address."""
        return f"198.18.0.{self.hosts.index(host) + 1}"

    def namespace(self, host: str) -> str:
        """The name of a host's namespace, for `ip netns exec`."""
        return f"{_PREFIX}{os.getpid()}-{host}"

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Run this thread on `host` during the block, with all processes and threads that it starts."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(f"/run/netns/{self.namespace(host)}")
            try:
                yield
            finally:
                _set_namespace(back)
        finally:
            os.close(back)

    def unplug(self, host: str) -> None:
        """Pull the host's cable: nothing goes in or out, and no connection is closed."""
        _ip("-n", self.namespace("switch"), "link", "set", "dev", host, "down")
        self._unplugged.add(host)

    def lose(self, source: str, target: str) -> None:
        """Lose packets from `source` to `target` from now on; the other direction still works."""
        where = ("-n", self.namespace(source))
        _ip(*where, "neigh", "replace", self.address(target), "lladdr", _NOBODY, "dev", "eth0", "nud", "permanent")
        self._losing.add((source, target))

    def cut(self, one: str, other: str) -> None:
        """Lose all packets between two hosts."""
        self.lose(one, other)
        self.lose(other, one)

    def mend(self) -> None:
        """Undo `unplug`, `lose` and `cut`."""
        for host in self._unplugged:
            _ip("-n", self.namespace("switch"), "link", "set", "dev", host, "up")
        for source, target in self._losing:
            _ip("-n", self.namespace(source), "neigh", "del", self.address(target), "dev", "eth0")
        self._unplugged.clear()
        self._losing.clear()

    def _build(self) -> None:
        for name in ("switch", *self.hosts):
            _ip("netns", "add", self.namespace(name))
            _ip("-n", self.namespace(name), "link", "set", "dev", "lo", "up")
        switch = self.namespace("switch")
        _ip("-n", switch, "link", "add", "bridge", "up", "type", "bridge")
        for host in self.hosts:
            mine = self.namespace(host)
            _ip("link", "add", "eth0", "netns", mine, "type", "veth", "peer", "name", host, "netns", switch)
            _ip("-n", mine, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            _ip("-n", mine, "link", "set", "dev", "eth0", "up")
            _ip("-n", switch, "link", "set", "dev", host, "master", "bridge", "up")


@contextlib.contextmanager
def network(hosts: Sequence[str]) -> Iterator[Network]:
    """A network of these hosts, removed afterwards. Names are short: they are those of the switch's ports, too."""
    _remove_leftovers()
    made = Network(tuple(hosts))
    try:
        made._build()
        yield made
    finally:
        _remove(f"{_PREFIX}{os.getpid()}-")


def why_not() -> str | None:
    """Why this machine cannot have such a network; None if it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return f"{MISSING_RIGHTS}network namespaces need root"
    if shutil.which("ip") is None:
        return "needs iproute2"
    name = f"{_PREFIX}{os.getpid()}-try"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None if tried.returncode == 0 else f"{MISSING_RIGHTS}network namespaces: {tried.stderr.strip()}"


def _remove_leftovers() -> None:
    for name in _namespaces():
        number = name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            _remove(f"{_PREFIX}{number}-")


def _remove(prefix: str) -> None:
    for name in _namespaces():
        if name.startswith(prefix):
            subprocess.run(["ip", "netns", "del", name], check=False)


def _namespaces() -> list[str]:
    lines = _ip("netns", "list").splitlines()
    return [line.split()[0] for line in lines if line.startswith(_PREFIX)]


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(descriptor)
    finally:
        os.close(descriptor)


def _set_namespace(descriptor: int) -> None:
    # Python has os.setns from 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
