"""What is known of a pool's instances, and which count as alive or surplus. Rules only; it calls nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from elastic_images.autoscaler.nodes.ec2.calls import Instance

ABSENT_SECONDS = 900.0
"""EC2 lists new instances late and terminated ones for an hour: one unlisted for this long is gone."""
UNHEARD_SECONDS = 60.0
"""A launch without a response did not happen if a list made this long after the last try lacks it."""


@dataclass(slots=True)
class Launch:
    """A requested instance whose outcome EC2 has not reported yet."""

    slot: int
    name: str
    tried_at: float
    """When EC2 was last asked."""
    cancelled: bool = False
    abandoned: bool = False
    """No more retries, and the outcome is unknown."""


@dataclass(slots=True)
class _Known:
    instance: Instance
    seen_at: float


@dataclass(slots=True)
class Fleet:
    """Not safe to share between threads. Times in seconds by one clock.

    An instance counts until it is proven gone: EC2's lists are late, so missing from one proves nothing.
    """

    looked_at: float | None = None
    """When the newest list was requested; None if nothing is known."""
    _known: dict[str, _Known] = field(default_factory=dict)
    _launches: dict[str, Launch] = field(default_factory=dict)

    def begin(self, launch: Launch) -> None:
        """An instance is being requested."""
        self._launches[launch.name] = launch

    def launched(self, launch: Launch, instance: Instance, now: float) -> None:
        """EC2 has confirmed the launch."""
        self._launches.pop(launch.name, None)
        self._take(instance, now)

    def not_launched(self, launch: Launch) -> None:
        """EC2 has refused the launch."""
        self._launches.pop(launch.name, None)

    def see(self, instances: Iterable[Instance], asked_at: float) -> list[Instance]:
        """Record a list from EC2, with instances looked up by id. Returns those of cancelled launches."""
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
        # A response may be older than the one before it, but termination is final.
        if before is not None:
            # Its tags were ours when first seen; removing them does not make it vanish.
            ended = before.instance.state == "terminated"
            instance = replace(before.instance, state="terminated" if ended else instance.state)
        self._known[instance.id] = _Known(instance, max(seen_at, before.seen_at if before else seen_at))

    def unseen(self, listed: Iterable[Instance]) -> list[str]:
        """Known instances, not proven gone, that are missing from a list."""
        ids = {instance.id for instance in listed}
        return [instance.id for instance in self.living() if instance.id not in ids]

    def alive(self) -> frozenset[int]:
        """The slots that have an instance, or lack proof that they have none."""
        return frozenset(launch.slot for launch in self._launches.values()) | frozenset(
            instance.slot for instance in self.living() if instance.slot is not None
        )

    def living(self) -> list[Instance]:
        """The instances that are not proven gone."""
        return [known.instance for known in self._known.values() if not known.instance.gone]

    def of_slot(self, slot: int) -> list[Instance]:
        """The instances of a slot."""
        return [instance for instance in self.living() if instance.slot == slot]

    def launches_of(self, slot: int) -> list[Launch]:
        """The pending launches of a slot."""
        return [launch for launch in self._launches.values() if launch.slot == slot]

    def surplus(self) -> dict[str, str]:
        """Instances of this pool to terminate, and why.

        Of several in one slot the oldest stays. A stopped one still costs its disk, and would come back as a second
        node of its slot.
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
                found[instance.id] = "its slot tag is invalid"
            else:
                by_slot[instance.slot].append(instance)
        for slot, instances in by_slot.items():
            for instance in sorted(instances, key=lambda one: (one.launched_at, one.id))[1:]:
                found[instance.id] = f"node {slot} has another instance"
        return found

    @property
    def unsettled(self) -> bool:
        """Whether something is starting or stopping, so EC2 should be polled soon."""
        return bool(self._launches) or any(
            known.instance.state in ("pending", "shutting-down", "stopping") for known in self._known.values()
        )
