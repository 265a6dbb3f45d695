"""What every NodeProvider promises: on local processes, on EC2, and on the fake that the resizer's tests stand on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from testing.ec2_stand_ins import FakeEc2
from testing.waiting import wait_for
from tests.contract.ec2_nodes import Ec2Nodes
from tests.contract.node_processes import LocalNodes
from tests.unit.autoscaler.world import FakeNodeProvider

from elastic_images.autoscaler.nodes.provider import NodeProvider


class Nodes(Protocol):
    """A provider, and what happens to nodes without its doing."""

    @property
    def provider(self) -> NodeProvider: ...

    def crash(self, slot: int) -> None: ...

    def hang(self, slot: int) -> None: ...

    def launch_stubborn(self, slot: int) -> None: ...

    def restart_provider(self) -> NodeProvider: ...


class FakeNodes:
    def __init__(self) -> None:
        self.provider = FakeNodeProvider(time.monotonic)

    def crash(self, slot: int) -> None:
        del self.provider.nodes[slot]

    def hang(self, slot: int) -> None:
        self.provider.nodes[slot].hung = True

    def launch_stubborn(self, slot: int) -> None:
        self.provider.launch(slot)
        self.hang(slot)

    def restart_provider(self) -> NodeProvider:
        self.provider = FakeNodeProvider(time.monotonic, self.provider.nodes)
        return self.provider


@pytest.fixture(scope="module", params=["local", "ec2", "fake"])
def kind(request: pytest.FixtureRequest) -> str | FakeEc2:
    """`local`, `fake`, or what instances are on."""
    found: str | FakeEc2 = request.getfixturevalue("simple_ec2") if request.param == "ec2" else request.param
    return found


@pytest.fixture
def nodes(kind: str | FakeEc2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    if isinstance(kind, FakeEc2):
        with Ec2Nodes.on(kind, monkeypatch) as made:
            yield made
        return
    if kind == "fake":
        yield FakeNodes()
        return
    local = LocalNodes(tmp_path, sys.executable)
    yield local
    local.close()


def test_at_first_there_is_none(nodes: Nodes) -> None:
    assert nodes.provider.adopt() == frozenset()
    assert nodes.provider.alive() == frozenset()


def test_a_launched_node_is_alive_from_then_on(nodes: Nodes) -> None:
    nodes.provider.launch(3)
    assert nodes.provider.alive() == {3}


def test_a_slot_has_one_node_only(nodes: Nodes) -> None:
    nodes.provider.launch(0)
    nodes.provider.launch(0)
    nodes.crash(0)
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_a_terminated_node_ends(nodes: Nodes) -> None:
    nodes.provider.launch(0)
    nodes.provider.launch(1)
    nodes.provider.terminate(0, 60)
    wait_for(lambda: nodes.provider.alive() == {1})


def test_terminating_waits_for_nothing_and_may_be_repeated(nodes: Nodes) -> None:
    nodes.provider.terminate(5, 60)
    nodes.launch_stubborn(5)
    nodes.provider.terminate(5, 60)
    nodes.provider.terminate(5, 60)
    assert nodes.provider.alive() == {5}
    nodes.provider.terminate(5, 0)
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_a_node_that_does_not_stop_is_ended_after_its_time_to_drain(nodes: Nodes) -> None:
    nodes.launch_stubborn(2)
    nodes.provider.terminate(2, 0.2)
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_a_hung_node_can_be_ended(nodes: Nodes) -> None:
    nodes.provider.launch(4)
    nodes.hang(4)
    assert nodes.provider.alive() == {4}
    nodes.provider.terminate(4, 0)
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_a_crash_is_noticed_and_the_slot_can_be_used_again(nodes: Nodes) -> None:
    nodes.provider.launch(1)
    nodes.crash(1)
    wait_for(lambda: nodes.provider.alive() == frozenset())
    nodes.provider.launch(1)
    assert nodes.provider.alive() == {1}


def test_a_new_provider_adopts_what_lives_and_can_end_it(nodes: Nodes) -> None:
    nodes.launch_stubborn(0)
    nodes.launch_stubborn(6)
    adopting = nodes.restart_provider()
    assert adopting.adopt() == {0, 6}
    nodes.crash(0)
    wait_for(lambda: adopting.alive() == {6})
    adopting.terminate(6, 0.1)
    wait_for(lambda: adopting.alive() == frozenset())


def test_closing_lets_the_nodes_live(nodes: Nodes) -> None:
    nodes.launch_stubborn(7)
    nodes.provider.close()
    assert nodes.restart_provider().adopt() == {7}
