"""What is known of a pool's instances, and what follows from it. Rules on an own clock, no doing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from elastic_images.autoscaler.nodes.ec2.calls import Instance

ABSENT_SECONDS = 900.0
"""EC2 lists a new instance late, and forgets one an hour after its end: what it has not known for so long is gone."""
UNHEARD_SECONDS = 60.0
"""A launch whose answer never came, and that no list begun so long after the last try has, did not take place."""


@dataclass(slots=True)
class Launch:
    """An instance that was asked for, until EC2 has said what became of it."""

    slot: int
    name: str
    tried_at: float
    """When EC2 was last asked."""
    cancelled: bool = False
    abandoned: bool = False
    """Nobody asks any more, and the outcome is not known."""


@dataclass(slots=True)
class _Known:
    instance: Instance
    seen_at: float


@dataclass(slots=True)
class Fleet:
    """Not safe to share between threads. Times in seconds by one clock.

    An instance counts until it is proven gone: EC2's lists are late, so that what one leaves out proves nothing.
    """

    looked_at: float | None = None
    """When the newest list was asked for; None: nothing is known."""
    _known: dict[str, _Known] = field(default_factory=dict)
    _launches: dict[str, Launch] = field(default_factory=dict)

    def begin(self, launch: Launch) -> None:
        """An instance is being asked for."""
        self._launches[launch.name] = launch

    def launched(self, launch: Launch, instance: Instance, now: float) -> None:
        """EC2 has said that it is launched."""
        self._launches.pop(launch.name, None)
        self._take(instance, now)

    def not_launched(self, launch: Launch) -> None:
        """EC2 has said that it is not."""
        self._launches.pop(launch.name, None)

    def see(self, instances: Iterable[Instance], asked_at: float) -> list[Instance]:
        """Take in a list of EC2's, with what was looked at by id; gives those of launches that were cancelled."""
        unwanted = []
        for instance in instances:
            self._take(instance, asked_at)
            launch = self._launches.get(instance.launch)
            if launch is not None and launch.cancelled:
                unwanted.append(instance)
            if launch is not None and launch.abandoned:
                del self._launches[launch.name]
        for name, launch in list(self._launches.items()):
            if launch.abandoned and asked_at - launch.tried_at >= UNHEARD_SECONDS:
                del self._launches[name]
        for id_, known in list(self._known.items()):
            if asked_at - known.seen_at >= ABSENT_SECONDS:
                del self._known[id_]
        self.looked_at = asked_at
        return unwanted

    def _take(self, instance: Instance, seen_at: float) -> None:
        before = self._known.get(instance.id)
        # An answer may be older than the one before it; the end is the end.
        if before is not None:
            # Its tags were ours when it was met; whoever takes them away does not make it vanish.
            ended = before.instance.state == "terminated"
            instance = replace(before.instance, state="terminated" if ended else instance.state)
        self._known[instance.id] = _Known(instance, max(seen_at, before.seen_at if before else seen_at))

    def unseen(self, listed: Iterable[Instance]) -> list[str]:
        """Known instances, not proven gone, that a list leaves out."""
        ids = {instance.id for instance in listed}
        return [instance.id for instance in self.living() if instance.id not in ids]

    def alive(self) -> frozenset[int]:
        """The slots that have an instance, or for which there is no proof that they have none."""
        return frozenset(launch.slot for launch in self._launches.values()) | frozenset(
            instance.slot for instance in self.living() if instance.slot is not None
        )

    def living(self) -> list[Instance]:
        """The instances that are not proven gone."""
        return [known.instance for known in self._known.values() if not known.instance.gone]

    def of_slot(self, slot: int) -> list[Instance]:
        """Those of a slot."""
        return [instance for instance in self.living() if instance.slot == slot]

    def launches_of(self, slot: int) -> list[Launch]:
        """What is being asked for in a slot."""
        return [launch for launch in self._launches.values() if launch.slot == slot]

    def surplus(self) -> dict[str, str]:
        """Instances of this pool that nobody can want, and why: the reaper ends them.

        Of several in one slot the oldest stays. One that was stopped is ours, costs its disk, and would come back as
        a second node of its slot.
        """
        found = {}
        by_slot: defaultdict[int, list[Instance]] = defaultdict(list)
        for known in self._known.values():
            instance = known.instance
            if instance.state in ("stopped", "stopping"):
                found[instance.id] = "it was stopped"
            elif instance.gone or instance.state == "shutting-down":
                continue
            elif instance.slot is None:
                found[instance.id] = "its slot makes no sense"
            else:
                by_slot[instance.slot].append(instance)
        for slot, instances in by_slot.items():
            for instance in sorted(instances, key=lambda one: (one.launched_at, one.id))[1:]:
                found[instance.id] = f"node {slot} has another one"
        return found

    @property
    def unsettled(self) -> bool:
        """Something is on its way up or down, so that it is worth looking again soon."""
        return bool(self._launches) or any(
            known.instance.state in ("pending", "shutting-down", "stopping") for known in self._known.values()
        )
