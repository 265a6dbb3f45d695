"""What Ec2NodeProvider promises beyond the contract: tags, lost answers, capacity, strays, and no waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from testing.ec2_stand_ins import NO_CAPACITY, FakeEc2, tags_of
from testing.waiting import wait_for
from tests.contract.ec2_nodes import QUICK, Ec2Nodes

from elastic_images.autoscaler.nodes.ec2 import fleet as ec2_fleet
from elastic_images.autoscaler.nodes.ec2.boto import BotoEc2Service
from elastic_images.autoscaler.nodes.ec2.provider import Ec2NodeProvider
from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting
from elastic_images.core.errors import InvalidRequest, Unavailable


@pytest.fixture
def nodes(simple_ec2: FakeEc2, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2Nodes]:
    with Ec2Nodes.on(simple_ec2, monkeypatch) as made:
        yield made


def test_an_instance_is_launched_as_it_should_be(nodes: Ec2Nodes) -> None:
    nodes.provider.launch(5)
    nodes.machine(5)
    (id_,) = nodes.ec2.of_slot(5)
    (one,) = [instance for instance in nodes.ec2.instances() if instance["InstanceId"] == id_]
    tags = tags_of(one)
    assert tags["elastic-images:pool"] == nodes.pool
    assert tags["Name"] == f"{nodes.pool} node 5"
    assert len(tags["elastic-images:launch"]) == 32
    assert one["MetadataOptions"]["HttpTokens"] == "required"
    assert one["IamInstanceProfile"]["Arn"].endswith("/elastic-images-node")
    assert one["SecurityGroups"][0]["GroupId"] == nodes.ec2.network["security_group"]
    assert one["SubnetId"] == nodes.ec2.network["other_subnet"], "odd slots begin with the second of two subnets"
    (call,) = [parameters for action, parameters in nodes.ec2.calls if action == "RunInstances"]
    assert call["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert call["BlockDeviceMapping.1.Ebs.Encrypted"] == "true"
    assert call["BlockDeviceMapping.1.Ebs.DeleteOnTermination"] == "true"
    assert call["ClientToken"].startswith(tags["elastic-images:launch"])
    assert "KeyName" not in call


def test_several_are_launched_at_once(nodes: Ec2Nodes) -> None:
    for slot in range(8):
        nodes.provider.launch(slot)
    assert nodes.provider.alive() == set(range(8))
    for slot in range(8):
        nodes.machine(slot)
    assert len(nodes.ec2.instances()) == 8


def test_a_launch_whose_answer_is_lost_launches_once(nodes: Ec2Nodes) -> None:
    nodes.ec2.lost["RunInstances"] = 2
    nodes.provider.launch(0)
    nodes.machine(0)
    wait_for(lambda: nodes.ec2.count("RunInstances") == 3)
    wait_for(lambda: not nodes.provider._fleet.launches_of(0))
    assert len(nodes.ec2.instances()) == 1
    assert nodes.provider.alive() == {0}
    assert nodes.provider.take_failures() == {}


def test_a_launch_that_is_never_answered_keeps_its_slot_until_it_is_known(
    nodes: Ec2Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.ec2.refusals["RunInstances"] = [("InternalError", "")] * 10
    nodes.provider.launch(3)
    wait_for(lambda: nodes.ec2.count("RunInstances") == len(QUICK.pauses) + 1)
    wait_for(lambda: nodes.provider.take_failures() == {3: "EC2 is not responding (InternalError)."})
    assert nodes.provider.alive() == {3}, "it may have been launched, and its list may be late"
    monkeypatch.setattr(ec2_fleet, "UNHEARD_SECONDS", 0.0)
    wait_for(lambda: nodes.provider.alive() == frozenset())
    nodes.ec2.refusals.clear()
    nodes.provider.launch(3)
    nodes.machine(3)


def test_a_list_that_is_late_is_no_proof_of_death(nodes: Ec2Nodes) -> None:
    nodes.provider.launch(2)
    nodes.machine(2)
    wait_for(lambda: not nodes.provider._fleet.launches_of(2))
    looks = nodes.ec2.count("DescribeInstances")
    nodes.ec2.hidden.update(nodes.ec2.of_slot(2))
    wait_for(lambda: nodes.ec2.count("DescribeInstances") > looks + 4)
    assert nodes.provider.alive() == {2}


def test_a_node_that_is_shutting_down_still_counts(nodes: Ec2Nodes) -> None:
    nodes.launch_stubborn(1)
    (id_,) = nodes.ec2.of_slot(1)
    nodes.ec2.terminate(id_)
    looks = nodes.ec2.count("DescribeInstances")
    wait_for(lambda: nodes.ec2.count("DescribeInstances") > looks + 4)
    assert nodes.provider.alive() == {1}, "its process lives, and may answer"
    assert nodes.machine_of(id_).living
    nodes.machine_of(id_).cut_off()
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_another_subnet_is_tried_where_one_has_no_capacity(nodes: Ec2Nodes) -> None:
    network = nodes.ec2.network
    nodes.ec2.refusals["RunInstances"] = [(NO_CAPACITY, network["subnet"])]
    nodes.provider.launch(0)
    nodes.machine(0)
    (one,) = nodes.ec2.instances()
    assert one["SubnetId"] == network["other_subnet"]
    tokens = [call["ClientToken"] for action, call in nodes.ec2.calls if action == "RunInstances"]
    assert len(set(tokens)) == 2, "EC2 would take the second for a repetition of the first"


def test_without_capacity_anywhere_the_slot_is_free_and_the_reason_told(nodes: Ec2Nodes) -> None:
    nodes.ec2.refusals["RunInstances"] = [(NO_CAPACITY, "")] * 2
    nodes.provider.launch(4)
    failures: dict[int, str] = {}
    wait_for(lambda: bool(failures.update(nodes.provider.take_failures()) or failures))
    assert failures == {4: "EC2 has no capacity (InsufficientInstanceCapacity)."}
    assert nodes.provider.alive() == frozenset()
    assert nodes.provider.take_failures() == {}, "told once"
    nodes.provider.launch(4)
    nodes.machine(4)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UnauthorizedOperation", "does not allow RunInstances"),
        ("VcpuLimitExceeded", "higher quota"),
        ("InvalidAMIID.NotFound", "refuses RunInstances: said the test"),
        ("AuthFailure", "does not accept the AWS credentials"),
    ],
)
def test_a_refusal_is_final_and_told(nodes: Ec2Nodes, code: str, words: str) -> None:
    nodes.ec2.refusals["RunInstances"] = [(code, "")]
    nodes.provider.launch(0)
    failures: dict[int, str] = {}
    wait_for(lambda: bool(failures.update(nodes.provider.take_failures()) or failures))
    assert words in failures[0]
    assert nodes.ec2.count("RunInstances") == 1
    assert nodes.provider.alive() == frozenset()


def test_throttling_is_waited_for(nodes: Ec2Nodes) -> None:
    nodes.ec2.refusals["RunInstances"] = [("RequestLimitExceeded", "")] * 2
    nodes.provider.launch(0)
    nodes.machine(0)
    tokens = {call["ClientToken"] for action, call in nodes.ec2.calls if action == "RunInstances"}
    assert len(tokens) == 1


def test_a_launch_that_nobody_wants_any_more_is_ended_when_it_is_known(nodes: Ec2Nodes) -> None:
    nodes.ec2.lost["RunInstances"] = 1
    nodes.provider.launch(0)
    wait_for(lambda: nodes.ec2.count("RunInstances") > 0)
    nodes.provider.terminate(0, 0)
    wait_for(lambda: nodes.ec2.count("TerminateInstances") > 0 and not nodes.ec2.instances())
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_a_slow_service_holds_nobody_up(nodes: Ec2Nodes) -> None:
    """Whatever the resizer calls returns while every call to EC2 hangs: proven by calls that are let go afterwards."""
    hold = threading.Event()
    meet = nodes.ec2.meet

    def slow(handler: object, body: bytes) -> None:
        hold.wait(60)
        meet(handler, body)

    nodes.ec2.proxy.clear()
    nodes.ec2.proxy.put_in_the_way("POST", slow, times=10**9)
    try:
        for slot in range(8):
            nodes.provider.launch(slot)
        assert nodes.provider.alive() == set(range(8))
        nodes.provider.terminate(7, 0)
        assert nodes.ec2.count("RunInstances") == 0, "EC2 has not even been reached"
    finally:
        hold.set()
        nodes.ec2.proxy.clear()
        nodes.ec2.proxy.put_in_the_way("POST", meet, times=10**9)
    nodes.machine(6)
    wait_for(lambda: nodes.provider.alive() == set(range(7)))


def test_of_two_instances_in_a_slot_the_older_one_stays(nodes: Ec2Nodes) -> None:
    """As after an autoscaler that was killed between a launch and its answer, and whose successor did not see it."""
    nodes.provider.launch(0)
    nodes.machine(0)
    (first,) = nodes.ec2.of_slot(0)
    service = BotoEc2Service(parse_ec2_setting(nodes.ec2.setting(pool=nodes.pool)))
    service.run(0, "f" * 32, nodes.ec2.network["subnet"], "another-token", "")
    service.close()
    wait_for(lambda: nodes.ec2.count("TerminateInstances") > 0)
    wait_for(lambda: len(nodes.ec2.of_slot(0)) == 1)
    launched = {one["InstanceId"]: one["LaunchTime"] for one in nodes.ec2.instances(gone=True)}
    (left,) = nodes.ec2.of_slot(0)
    assert launched[left] == min(launched[first], launched[left])
    assert nodes.provider.alive() == {0}


def test_strays_of_this_pool_are_ended_and_nobody_elses(nodes: Ec2Nodes) -> None:
    client, network = nodes.ec2.client(), nodes.ec2.network

    def run(**tags: str) -> str:
        listed = [{"Key": f"elastic-images:{name}", "Value": value} for name, value in tags.items()]
        answer = client.run_instances(
            ImageId=network["ami"],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": listed}],
        )
        return str(answer["Instances"][0]["InstanceId"])

    stray = run(pool=nodes.pool, slot="9", launch="a")
    stopped = run(pool=nodes.pool, slot="1", launch="b")
    other_pool = run(pool="another", slot="9", launch="c")
    other_pools_node = run(pool="another", slot="0", launch="d")
    no_node = run(pool=nodes.pool)  # the front instance, say, with the pool's name and no launch of ours
    client.stop_instances(InstanceIds=[stopped])
    nodes.provider.launch(0)
    wait_for(lambda: not {stray, stopped} & {one["InstanceId"] for one in nodes.ec2.instances()})
    left = {one["InstanceId"] for one in nodes.ec2.instances()}
    assert {other_pool, other_pools_node, no_node} <= left
    ended = {call["InstanceId.1"] for action, call in nodes.ec2.calls if action == "TerminateInstances"}
    assert ended == {stray, stopped}


def test_pools_are_told_apart(nodes: Ec2Nodes) -> None:
    other = nodes.another(pool=f"{nodes.pool}-2")
    try:
        nodes.provider.launch(0)
        other.launch(0)
        wait_for(lambda: len(nodes.ec2.of_slot(0)) == 2)
        other.terminate(0, 0)
        wait_for(lambda: other.alive() == frozenset())
        assert nodes.provider.alive() == {0}
        (left,) = nodes.ec2.instances()
        assert tags_of(left)["elastic-images:pool"] == nodes.pool
    finally:
        other.close()


def test_before_the_first_answer_nothing_is_known(nodes: Ec2Nodes) -> None:
    nodes.ec2.refusals["DescribeInstances"] = [("UnauthorizedOperation", "")] * 100
    blind = nodes.another()
    try:
        with pytest.raises(Unavailable, match="does not allow DescribeInstances"):
            blind.alive()
        with pytest.raises(Unavailable):
            blind.launch(0)
        nodes.ec2.refusals.clear()
        wait_for(lambda: blind._fleet.looked_at is not None)
        assert blind.alive() == frozenset()
    finally:
        blind.close()


def test_an_outage_of_ec2_changes_nothing_that_is_known(nodes: Ec2Nodes) -> None:
    nodes.provider.launch(0)
    nodes.machine(0)
    nodes.ec2.refusals["DescribeInstances"] = [("InternalError", "")] * 10
    wait_for(lambda: not nodes.ec2.refusals["DescribeInstances"])
    assert nodes.provider.alive() == {0}


def test_a_tag_that_is_taken_away_does_not_hide_a_node(nodes: Ec2Nodes) -> None:
    nodes.provider.launch(0)
    nodes.machine(0)
    wait_for(lambda: not nodes.provider._fleet.launches_of(0))
    (id_,) = nodes.ec2.of_slot(0)
    nodes.ec2.client().delete_tags(Resources=[id_], Tags=[{"Key": "elastic-images:pool"}])
    looks = nodes.ec2.count("DescribeInstances")
    wait_for(lambda: nodes.ec2.count("DescribeInstances") > looks + 4)
    assert nodes.provider.alive() == {0}
    nodes.provider.terminate(0, 0)
    wait_for(lambda: nodes.provider.alive() == frozenset())


def test_without_a_region_the_start_says_so(nodes: Ec2Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(InvalidRequest, match="AWS_DEFAULT_REGION"):
        BotoEc2Service(parse_ec2_setting(nodes.ec2.setting()))


def test_a_closed_provider_lets_a_late_launch_be_adopted(nodes: Ec2Nodes) -> None:
    assert isinstance(nodes.provider, Ec2NodeProvider)
    nodes.provider.launch(0)
    wait_for(lambda: nodes.ec2.count("RunInstances") == 1)
    nodes.provider.close()
    with pytest.raises(RuntimeError):
        nodes.provider._workers.submit(print)
    adopting = nodes.restart_provider()
    wait_for(lambda: adopting.alive() == {0})


def test_an_instance_on_which_nothing_ever_starts_counts_until_it_is_ended(nodes: Ec2Nodes) -> None:
    """What ends it is the resizer's patience, of `start_seconds` (tests/unit/autoscaler)."""
    nodes.ec2.dead_images = True
    nodes.provider.launch(0)
    wait_for(lambda: len(nodes.ec2.of_slot(0)) == 1 and not nodes.provider._fleet.launches_of(0))
    assert nodes.provider.alive() == {0}
    assert nodes.ec2.machines == {}
    nodes.provider.terminate(0, 0)
    wait_for(lambda: nodes.provider.alive() == frozenset())
    assert nodes.ec2.of_slot(0) == []
