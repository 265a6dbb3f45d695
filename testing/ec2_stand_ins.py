"""EC2 for tests: moto's server behind a proxy, and a local process for each of its instances.

Moto keeps the records of instances. This module adds what moto lacks: a ClientToken launches only once, an instance is
`shutting-down` while its process lives, and faults.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs
from xml.etree import ElementTree

from testing.fault_proxy import FaultProxy, fault_proxy
from testing.object_servers import WRITER, S3Server, moto

SHUTDOWN_SECONDS = 30.0
"""How long an operating system takes at most to end a process that ignores SIGTERM."""
_EVERY_SECONDS = 0.05
_XML = "{http://ec2.amazonaws.com/doc/2016-11-15}"
NO_CAPACITY = "InsufficientInstanceCapacity"


class Machine(Protocol):
    """Stands in for one instance, which is running until it is shut down or cut off."""

    @property
    def living(self) -> bool:
        """Whether any of its processes is left."""

    def tick(self) -> None:
        """Called often, on one thread."""

    def shut_down(self) -> None:
        """SIGTERM to all."""

    def cut_off(self) -> None:
        """SIGKILL to all."""

    @property
    def wants_off(self) -> bool:
        """Whether it turned itself off."""


Boot = Callable[["FakeEc2", str, int, str], Machine]
"""Starts the machine for an instance's id, slot and user data."""


@dataclass(slots=True)
class _Standing:
    machine: Machine
    slot: int
    off_since: float | None = None


@dataclass
class FakeEc2:
    """The service and its machines. Thread-safe."""

    server: S3Server
    proxy: FaultProxy
    boot: Boot
    network: dict[str, str] = field(default_factory=dict)
    """The ids of what `prepare` created: ami, subnet, other_subnet, security_group, profile."""
    machines: dict[str, _Standing] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refusals: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By action: (error code, text that the request must contain) of errors to answer with, each once."""
    lost: dict[str, int] = field(default_factory=dict)
    """By action: how many answers to lose."""
    hidden: set[str] = field(default_factory=set)
    """Instances missing from listings, as new ones are for a while on EC2."""
    dead_images: bool = False
    """Instances are launched, but nothing on them ever starts."""
    stubborn: set[int] = field(default_factory=set)
    """Slots whose machines ignore SIGTERM, if `boot` supports that."""
    _clients: dict[str, Any] = field(default_factory=dict)
    _answers: dict[str, tuple[int, list[tuple[str, str]], bytes]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stop: threading.Event = field(default_factory=threading.Event)

    # ---- direct access, past the proxy

    def client(self, service: str = "ec2") -> Any:
        """A boto3 client of moto itself."""
        import boto3

        with self._lock:
            if service not in self._clients:
                session: Any = boto3.session.Session()
                self._clients[service] = session.client(
                    service,
                    endpoint_url=self.server.url,
                    aws_access_key_id=WRITER[0],
                    aws_secret_access_key=WRITER[1],
                    region_name="us-east-1",
                )
            return self._clients[service]

    def prepare(self) -> None:
        """Create what the setting names."""
        ec2, iam = self.client(), self.client("iam")
        subnets = ec2.describe_subnets()["Subnets"]
        group = ec2.create_security_group(GroupName=f"nodes-{len(self.network)}", Description="nodes")["GroupId"]
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_instance_profile(InstanceProfileName="elastic-images-node")
        self.network = {
            "ami": ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"],
            "subnet": subnets[0]["SubnetId"],
            "other_subnet": subnets[1]["SubnetId"],
            "security_group": group,
            "profile": "elastic-images-node",
        }

    def setting(self, **changes: str) -> str:
        """A node provider's setting on this service, with both subnets."""
        made = self.network
        parts = {
            "ami": made["ami"],
            "type": "t3.micro",
            "security_group": made["security_group"],
            "profile": made["profile"],
            "packages": "s3://packages/packages",
            "secret": "elastic-images/internal-token",
            **changes,
        }
        both = f"subnet={made['subnet']}&subnet={made['other_subnet']}"
        return "ec2://?" + "&".join([*(f"{name}={value}" for name, value in parts.items()), both])

    def environment(self) -> dict[str, str]:
        """Makes boto3 use this service."""
        return {
            **self.server.environment(),
            "AWS_ENDPOINT_URL_EC2": self.proxy.url,
            "AWS_ENDPOINT_URL_IAM": self.server.url,
            "AWS_ENDPOINT_URL_STS": self.server.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.server.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH": self.server.url,
        }

    def instances(self, *, gone: bool = False) -> list[dict[str, Any]]:
        """Moto's instances; with `gone` also those that were terminated."""
        ec2 = self.client()
        groups = ec2.describe_instances(MaxResults=1000)["Reservations"]
        found = [one for group in groups for one in group["Instances"]]
        return [one for one in found if gone or one["State"]["Name"] not in ("terminated", "shutting-down")]

    def of_slot(self, slot: int) -> list[str]:
        """The ids of a slot's instances that are not terminated."""
        return [one["InstanceId"] for one in self.instances() if tags_of(one).get("elastic-images:slot") == str(slot)]

    def terminate(self, id_: str) -> None:
        """As a person does it in the console."""
        ec2 = self.client()
        ec2.terminate_instances(InstanceIds=[id_])

    def machine(self, slot: int, *, seconds: float = 60.0) -> Machine:
        """The slot's machine that is on, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                for standing in self.machines.values():
                    if standing.slot == slot and standing.off_since is None and standing.machine.living:
                        return standing.machine
            time.sleep(0.02)
        raise AssertionError(f"no machine stands in for node {slot}")

    def count(self, action: str, **having: str) -> int:
        """How many calls of this action came, with these parameters among theirs."""
        with self._lock:
            return sum(
                name == action and all(parameters.get(key) == value for key, value in having.items())
                for name, parameters in self.calls
            )

    # ---- the thread that plays the machines

    def play(self) -> None:
        """Until `stop`: start machines for new instances, and end those whose instance was terminated."""
        while not self._stop.wait(_EVERY_SECONDS):
            with self._lock:  # or a machine could be started for what `clear` has just ended
                for one in self.instances(gone=True):
                    self._play(one)

    def _play(self, one: dict[str, Any]) -> None:
        id_, state = one["InstanceId"], one["State"]["Name"]
        standing = self.machines.get(id_)
        if standing is None and state == "running" and not self.dead_images:
            slot = int(tags_of(one).get("elastic-images:slot", "-1"))
            standing = self.machines[id_] = _Standing(self.boot(self, id_, slot, self._user_data(id_)), slot)
        if standing is None:
            return
        if state == "running":
            standing.machine.tick()
            if standing.machine.wants_off:
                self.terminate(id_)
        elif standing.off_since is None:
            standing.off_since = time.monotonic()
            standing.machine.shut_down()
        elif time.monotonic() - standing.off_since > SHUTDOWN_SECONDS:
            standing.machine.cut_off()

    def _user_data(self, id_: str) -> str:
        ec2 = self.client()
        kept = ec2.describe_instance_attribute(InstanceId=id_, Attribute="userData")["UserData"].get("Value", "")
        return base64.b64decode(kept).decode()

    def clear(self) -> None:
        """Terminate all instances, and forget faults and calls."""
        with self._lock:
            for one in self.instances():
                self.terminate(one["InstanceId"])
            for standing in self.machines.values():
                standing.machine.cut_off()
            for made in (self.machines, self.calls, self.refusals, self.lost, self.hidden, self.stubborn):
                made.clear()
            self.dead_images = False

    def stop(self) -> None:
        """End the machines."""
        self._stop.set()
        with self._lock:
            for standing in self.machines.values():
                standing.machine.cut_off()

    # ---- the proxy's part

    def meet(self, handler: Any, body: bytes) -> None:
        """Answer one call to EC2."""
        parameters = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        action = parameters.get("Action", "")
        with self._lock:
            self.calls.append((action, parameters))
            code = self._refusal(action, body.decode())
            losing = self.lost.get(action, 0) > 0
            if losing:
                self.lost[action] -= 1
        if code is not None:
            handler.reply(*refused(code))
            return
        status, headers, answer = self._answer(handler, action, parameters, body)
        if losing:
            handler.hang_up()
        else:
            handler.reply(status, headers, answer)

    def _refusal(self, action: str, body: str) -> str | None:
        for place, (code, text) in enumerate(self.refusals.get(action, [])):
            if text in body:
                del self.refusals[action][place]
                return code
        return None

    def _answer(
        self, handler: Any, action: str, parameters: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        token = parameters.get("ClientToken")
        with self._lock:
            if token in self._answers and action == "RunInstances":
                return self._answers[token]
            upstream = handler.ask(body)
            answer = (upstream.status, upstream.getheaders(), upstream.read())
            if token and action == "RunInstances" and upstream.status == 200:
                self._answers[token] = answer
        if action == "DescribeInstances":
            answer = (answer[0], answer[1], self._as_it_is(answer[2]))
        if action == "TerminateInstances" and parameters.get("SkipOsShutdown") == "true":
            with self._lock:
                standing = self.machines.get(parameters["InstanceId.1"])
                if standing is not None:
                    standing.machine.cut_off()
        return answer

    def _as_it_is(self, listed: bytes) -> bytes:
        """A list with what is hidden left out, and `shutting-down` where a process is left."""
        root = ElementTree.fromstring(listed)  # noqa: S314 - moto's
        with self._lock:
            for items in root.iter(f"{_XML}instancesSet"):
                for item in list(items):
                    id_ = item.findtext(f"{_XML}instanceId", "")
                    state = item.find(f"{_XML}instanceState/{_XML}name")
                    standing = self.machines.get(id_)
                    if id_ in self.hidden:
                        items.remove(item)
                    elif state is not None and state.text == "terminated" and standing and standing.machine.living:
                        state.text = "shutting-down"
        return bytes(ElementTree.tostring(root))


def tags_of(instance: dict[str, Any]) -> dict[str, str]:
    """An instance's tags."""
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}


def refused(code: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """EC2's answer with an error."""
    status = 500 if code.startswith(("Insufficient", "Internal")) else 503 if code == "RequestLimitExceeded" else 400
    xml = f"<Response><Errors><Error><Code>{code}</Code><Message>said the test</Message></Error></Errors></Response>"
    return status, [("Content-Type", "text/xml")], xml.encode()


@contextlib.contextmanager
def fake_ec2(boot: Boot, server: S3Server | None = None) -> Iterator[FakeEc2]:
    """A running service whose machines `boot` starts; on its own moto unless one is given."""
    with contextlib.ExitStack() as stack:
        server = server or stack.enter_context(moto())
        proxy = stack.enter_context(fault_proxy(server.url))
        made = FakeEc2(server, proxy, boot)
        proxy.put_in_the_way("POST", made.meet, times=10**9)
        made.prepare()
        player = threading.Thread(target=made.play, name="machines")
        player.start()
        try:
            yield made
        finally:
            made.stop()
            player.join()
            made.clear()
            for client in made._clients.values():
                client.close()


class SimpleMachine:
    """One process that waits, and heeds SIGTERM or does not."""

    def __init__(self, python: str, *, stubborn: bool) -> None:
        ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if stubborn else ""
        code = f"import signal, threading; {ignore}print('up', flush=True); threading.Event().wait()"
        self._process = subprocess.Popen([python, "-S", "-c", code], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._process.stdout.close()

    @property
    def living(self) -> bool:
        return self._process.poll() is None

    wants_off = False

    def tick(self) -> None:
        pass

    def shut_down(self) -> None:
        self._process.terminate()

    def cut_off(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)


def simple_boot(python: str) -> Boot:
    """Boots simple machines."""
    return lambda ec2, _id, slot, _user_data: SimpleMachine(python, stubborn=slot in ec2.stubborn)
