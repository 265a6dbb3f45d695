"""Network faults on the hosts of `testing/hosts`: cables pulled, packets lost one way or both, processes killed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing.synchronize import Event

from testing.hosts.system import NODES, STORAGES, WEBS, SeveralHosts

_SECONDS = (2.0, 15.0)


@dataclass(frozen=True, slots=True)
class Cut:
    """One fault, for a while."""

    name: str
    unplugged: tuple[str, ...] = ()
    """Hosts whose cable is pulled."""
    lost: tuple[tuple[str, str], ...] = ()
    """Pairs of source and target between which packets are lost."""
    killed: tuple[str, str] | None = None
    """The app and its host; it is started again at the end."""
    seconds: float = 5.0


def _between(some: Iterable[str], others: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for one, other in product(some, others) for pair in ((one, other), (other, one)))


def _from(some: Iterable[str], others: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(product(some, others))


CUTS = (
    Cut("node2 is cut off from both storages, not from the webs", lost=_between(["node2"], STORAGES)),
    Cut("node3 is cut off from both webs, not from the storages", lost=_between(["node3"], WEBS), seconds=4.0),
    Cut("node1's host is off the network", unplugged=("node1",)),
    Cut("web1 is cut off from node2, web2 is not", lost=_between(["web1"], ["node2"]), seconds=4.0),
    Cut("storage1's host is off the network", unplugged=("storage1",)),
    Cut("the autoscaler's host is off the network", unplugged=("autoscaler",), seconds=4.0),
    Cut("packets from the storages to node3 are lost", lost=_from(STORAGES, ["node3"])),
    Cut("packets from node1 to the webs are lost", lost=_from(["node1"], WEBS), seconds=4.0),
    Cut("storage1 is cut off from the database and S3", lost=_between(["storage1"], ["data"])),
)
"""The test makes these, one after the other."""

MORE_CUTS = (
    *CUTS,
    Cut("packets from node2 to the storages are lost", lost=_from(["node2"], STORAGES)),
    Cut("packets from the webs to node3 are lost", lost=_from(WEBS, ["node3"])),
    Cut("node2 is cut off from storage1, not from storage2", lost=_between(["node2"], ["storage1"])),
    Cut("web2 is cut off from both storages", lost=_between(["web2"], STORAGES)),
    Cut("web1's host is off the network", unplugged=("web1",)),
    Cut("storage2's host is off the network", unplugged=("storage2",)),
    Cut("packets from storage1 to web2 are lost", lost=_from(["storage1"], ["web2"])),
    Cut("the autoscaler is cut off from node1", lost=_between(["autoscaler"], ["node1"])),
    Cut("two nodes' hosts are off the network", unplugged=("node1", "node3")),
    Cut("all nodes' hosts are off the network", unplugged=NODES),
    Cut("storage2 crashes", killed=("storage", "storage2")),
    Cut("the autoscaler crashes", killed=("autoscaler", "autoscaler")),
)


def schedule(seed: int) -> Iterator[Cut]:
    """Endless cuts, the same for the same seed; every cut comes once before one is repeated."""
    chance = random.Random(f"{seed} cuts")
    while True:
        for cut in chance.sample(MORE_CUTS, len(MORE_CUTS)):
            yield replace(cut, seconds=round(chance.uniform(*_SECONDS), 1))


def inject(system: SeveralHosts, cut: Cut, stop: Event) -> None:
    """Carry it out, and return when it is undone."""
    if cut.killed is not None:
        system.kill(*cut.killed)
    try:
        for host in cut.unplugged:
            system.network.unplug(host)
        for source, target in cut.lost:
            system.network.lose(source, target)
        stop.wait(cut.seconds)
    finally:
        system.network.mend()
        if cut.killed is not None:
            system.serve(*cut.killed)
