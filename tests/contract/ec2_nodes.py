"""An Ec2NodeProvider on a fake EC2, whose instances are waiting processes."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest
from testing.ec2_stand_ins import FakeEc2, SimpleMachine

from elastic_images.autoscaler.nodes.ec2.boto import BotoEc2Service
from elastic_images.autoscaler.nodes.ec2.provider import Ec2NodeProvider, Pace
from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting

QUICK = Pace(calm=0.1, busy=0.05, pauses=(0.05, 0.05, 0.05))


class Ec2Nodes:
    """A provider for a pool of its own, and what happens to its instances without its doing."""

    def __init__(self, ec2: FakeEc2) -> None:
        self.ec2 = ec2
        self.pool = f"pool-{uuid.uuid4().hex[:8]}"
        self.providers: list[Ec2NodeProvider] = []
        self.provider = self.another()
        # On a busy machine the first list may take longer than `adopt` waits.
        assert self.provider._looked.wait(60)

    @classmethod
    @contextlib.contextmanager
    def on(cls, ec2: FakeEc2, patch: pytest.MonkeyPatch) -> Iterator[Ec2Nodes]:
        """With nothing left of it at the end, and no fault either."""
        for name, value in ec2.environment().items():
            patch.setenv(name, value)
        made = cls(ec2)
        try:
            yield made
        finally:
            for provider in made.providers:
                provider.close()
                # What is still being asked or launched is waited for, longer than `close` does, so that nothing of
                # it is left: a call that ends later would leave its connection open, and an instance.
                provider._workers.shutdown(wait=True)
                provider._thread.join(60)
                provider._service.close()
            ec2.clear()

    def another(self, pool: str | None = None, **changes: str) -> Ec2NodeProvider:
        """A provider that knows nothing of the first; the caller closes it."""
        setting = parse_ec2_setting(self.ec2.setting(pool=pool or self.pool, **changes))
        made = Ec2NodeProvider(
            BotoEc2Service(setting), lambda slot: f"#!/bin/bash\n# {slot}\n", setting.subnets, pace=QUICK
        )
        self.providers.append(made)
        made.adopt()
        return made

    def launch_stubborn(self, slot: int) -> None:
        """Launch one that does not heed SIGTERM, and wait until it runs."""
        self.ec2.stubborn.add(slot)
        self.provider.launch(slot)
        self.ec2.machine(slot)

    def crash(self, slot: int) -> None:
        """The instance ends, as when its hardware fails."""
        self.machine(slot).cut_off()
        for id_ in self.ec2.of_slot(slot):
            self.ec2.terminate(id_)

    def hang(self, slot: int) -> None:
        self.machine(slot).hang()

    def machine(self, slot: int) -> SimpleMachine:
        machine = self.ec2.machine(slot)
        assert isinstance(machine, SimpleMachine)
        return machine

    def machine_of(self, id_: str) -> SimpleMachine:
        """The machine of an instance, whether it is on or not."""
        machine = self.ec2.machines[id_].machine
        assert isinstance(machine, SimpleMachine)
        return machine

    def restart_provider(self) -> Ec2NodeProvider:
        self.provider.close()
        self.provider = self.another()
        return self.provider
