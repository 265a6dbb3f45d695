"""What LocalNodeProvider promises beyond the contract: lives tied to the lifeline, sessions of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.settings import make_settings
from testing.waiting import wait_for
from tests.contract.node_processes import LocalNodes

from elastic_images.autoscaler.nodes.local import LocalNodeProvider
from elastic_images.autoscaler.nodes.opening import open_node_provider
from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.pool.life_lock import hold, node_lock_path


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[LocalNodes]:
    made = LocalNodes(tmp_path, sys.executable)
    yield made
    made.close()


def test_nodes_end_with_the_lifeline_and_are_adopted_until_then(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    nodes = LocalNodes(tmp_path, sys.executable, lifeline_fd=reading)
    try:
        nodes.provider.launch(0)
        nodes.provider.launch(1)
        for slot in (0, 1):
            nodes.pid(slot)
        adopting = nodes.restart_provider()
        assert adopting.adopt() == {0, 1}
        os.close(writing)
        wait_for(lambda: adopting.alive() == frozenset())
    finally:
        nodes.close()
        os.close(reading)


def test_while_nodes_serve_further_ones_start_in_turn(tmp_path: Path) -> None:
    nodes = LocalNodes(tmp_path, sys.executable, starting_at_once=1)
    try:
        nodes.provider.launch(0)
        nodes.provider.launch(1)
        assert set(nodes.provider._children) == {0, 1}, "nobody serves yet: nobody is to be spared"
        for slot in (0, 1):
            nodes.pid(slot)
        for slot in (2, 3, 4):
            nodes.provider.launch(slot)
        assert set(nodes.provider._children) == {0, 1, 2}
        assert nodes.provider.alive() == {0, 1, 2, 3, 4}, "who waits for his turn is not launched again"
        nodes.provider.terminate(4, 5.0)
        assert nodes.provider.alive() == {0, 1, 2, 3}
        for slot in (2, 3):
            nodes.pid(slot)
        assert nodes.provider.alive() == {0, 1, 2, 3}
    finally:
        nodes.close()


def test_one_that_never_gets_up_holds_the_others_for_a_while_only(tmp_path: Path) -> None:
    now = [0.0]
    command = [sys.executable, "-S", "-c", "import threading; threading.Event().wait()"]
    provider = LocalNodeProvider(
        lambda _slot: command, data=tmp_path, environ=os.environ, starting_at_once=1, clock=lambda: now[0]
    )
    try:
        with hold(node_lock_path(tmp_path, 0)):
            provider.launch(1)
            provider.launch(2)
            assert set(provider._children) == {1}
            now[0] += 5.0
            provider.alive()
            assert set(provider._children) == {1, 2}
    finally:
        for child in provider._children.values():
            child.kill()
            child.wait()


def test_a_node_has_a_session_of_its_own(nodes: LocalNodes) -> None:
    nodes.provider.launch(0)
    assert os.getsid(nodes.pid(0)) == nodes.pid(0) != os.getsid(0)


def test_a_node_that_somebody_started_by_hand_counts(nodes: LocalNodes, tmp_path: Path) -> None:
    with hold(node_lock_path(tmp_path, 5)):
        assert nodes.provider.adopt() == {5}
        nodes.provider.launch(5)
        assert not nodes.provider._children
    assert nodes.provider.alive() == frozenset()


def test_a_lock_that_cannot_be_looked_at_is_no_proof_of_death(nodes: LocalNodes, tmp_path: Path) -> None:
    node_lock_path(tmp_path, 2).mkdir(parents=True)
    assert nodes.provider.alive() == {2}


def test_a_command_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    provider = LocalNodeProvider(lambda _slot: [str(tmp_path / "nothing")], data=tmp_path, environ={})
    with pytest.raises(Unavailable, match="node 3 cannot be started"):
        provider.launch(3)
    assert provider.alive() == frozenset()


def test_the_setting_picks_the_provider(tmp_path: Path) -> None:
    provider = open_node_provider(make_settings(tmp_path))
    assert isinstance(provider, LocalNodeProvider)
    command = list(provider._command(6))
    assert command == [sys.executable, "-m", "elastic_images", "serve", "memcache", "--slot", "6"]


@pytest.mark.parametrize(
    ("setting", "message"), [("ec2://eu-west-1", "parameters and nothing else"), ("other", "must be local or")]
)
def test_another_provider_is_refused(tmp_path: Path, setting: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        open_node_provider(make_settings(tmp_path, node_provider=setting))
