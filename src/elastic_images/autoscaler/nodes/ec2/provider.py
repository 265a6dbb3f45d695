"""Nodes as EC2 instances. Callers never wait for EC2; threads of its own do."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from elastic_images.autoscaler.nodes.ec2.calls import Ec2Error, Ec2Service, Instance
from elastic_images.autoscaler.nodes.ec2.fleet import Fleet, Launch
from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.errors import Unavailable

_log = logging.getLogger(__name__)
START_SECONDS = 300.0
SILENCE_SECONDS = 60.0
"""systemd restarts a crashed node within seconds; another instance takes minutes."""
_ADOPT_SECONDS = 5.0
_CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often EC2 is polled, in seconds."""

    calm: float = 5.0
    """Between polls while nothing changes."""
    busy: float = 1.0
    pauses: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Before each retry of a launch that got no response or was throttled."""


@dataclass(slots=True)
class _Ending:
    """An instance to terminate."""

    force_at: float
    why: str
    asked: bool = False
    forced: bool = False


class Ec2NodeProvider:
    """A `NodeProvider` of instances, found again by their tags.

    A slot is free only once EC2 reports each of its instances as terminated or stopped. Several instances launch at
    once; if a subnet has no capacity, the next one is tried. Surplus instances are terminated here; those of
    unwanted slots by the resizer, which sees them alive.

    Args:
        service: EC2.
        user_data: the script that the instance in a slot runs at its first start.
        subnets: tried in turn, each slot starting with another one.
        clock: seconds, never set back.
    """

    proves_death = False
    """EC2's lists are late: a node launched by an earlier autoscaler could register before any list has it."""
    start_seconds = START_SECONDS
    silence_seconds = SILENCE_SECONDS

    def __init__(
        self,
        service: Ec2Service,
        user_data: Callable[[int], str],
        subnets: Sequence[str],
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._user_data = user_data
        self._subnets = tuple(subnets)
        self._pace = pace or Pace()
        self._clock = clock
        self._lock = threading.Lock()
        self._fleet = Fleet()
        self._endings: dict[str, _Ending] = {}
        self._failures: dict[int, str] = {}
        self._trouble: Unavailable | None = None
        self._looked = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ec2", daemon=True)
        self._workers = ThreadPoolExecutor(MAX_NODES, thread_name_prefix="ec2-launch")

    # ---- NodeProvider

    def adopt(self) -> frozenset[int]:
        """See `NodeProvider`. Waits some seconds for EC2's first response; returns nothing without one."""
        if self._thread.ident is None:
            self._thread.start()
        self._looked.wait(_ADOPT_SECONDS)
        with self._lock:
            return self._fleet.alive()

    def launch(self, slot: int) -> None:
        """See `NodeProvider`. `take_failures` reports failures."""
        with self._lock:
            self._must_know()
            if slot in self._fleet.alive():
                return
            launch = Launch(slot, uuid.uuid4().hex, self._clock())
            self._fleet.begin(launch)
            self._workers.submit(self._launch, launch)

    def terminate(self, slot: int, drain_seconds: float) -> None:
        """See `NodeProvider`. EC2 shuts down the instance, which ends the node by SIGTERM."""
        with self._lock:
            for launch in self._fleet.launches_of(slot):
                launch.cancelled = True
            for instance in self._fleet.of_slot(slot):
                self._end(instance.id, f"node {slot} is to stop", drain_seconds)
        self._wake.set()

    def alive(self) -> frozenset[int]:
        """See `NodeProvider`. From EC2's last list; calls nothing."""
        with self._lock:
            self._must_know()
            return self._fleet.alive()

    def take_failures(self) -> dict[int, str]:
        """See `NodeProvider`."""
        with self._lock:
            failures, self._failures = self._failures, {}
            return failures

    def close(self) -> None:
        """See `NodeProvider`. Does not wait for calls under way: whatever they launch will be adopted."""
        self._stopping.set()
        self._wake.set()
        self._workers.shutdown(wait=False, cancel_futures=True)
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)
        self._service.close()

    def _must_know(self) -> None:
        if self._fleet.looked_at is None:
            raise self._trouble or Unavailable("EC2 has not listed the nodes yet.")

    # ---- listing and terminating: one thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._look()
                self._carry_out()
                self._tell(None)
            except Ec2Error as trouble:
                self._tell(trouble)
            except Exception:  # noqa: BLE001 - the next round may succeed
                _log.exception("a round with EC2 failed")
            with self._lock:
                busy = self._fleet.unsettled or bool(self._endings)
            self._wake.wait(self._pace.busy if busy else self._pace.calm)

    def _look(self) -> None:
        asked_at = self._clock()
        listed = list(self._service.instances())
        with self._lock:
            unseen = self._fleet.unseen(listed)
        listed += self._service.look_at(unseen)
        with self._lock:
            unwanted = self._fleet.see(listed, asked_at)
            living = {instance.id for instance in self._fleet.living()}
            surplus = self._fleet.surplus()
            self._endings = {id_: ending for id_, ending in self._endings.items() if id_ in living | surplus.keys()}
            surplus |= {instance.id: "it is no longer wanted" for instance in unwanted}
            for id_, why in surplus.items():
                self._end(id_, why, 0.0)
        self._looked.set()

    def _end(self, id_: str, why: str, drain_seconds: float) -> None:
        """Needs the lock."""
        force_at = self._clock() + drain_seconds
        ending = self._endings.setdefault(id_, _Ending(force_at, why))
        ending.force_at = min(ending.force_at, force_at)

    def _carry_out(self) -> None:
        with self._lock:
            endings = list(self._endings.items())
        last: Ec2Error | None = None
        for id_, ending in endings:
            force = self._clock() >= ending.force_at
            if ending.asked and (ending.forced or not force):
                continue
            try:
                self._service.terminate([id_], at_once=force)
            except Ec2Error as trouble:  # a protected instance must not hold up the others
                last = trouble
                continue
            if not ending.asked:
                _log.info("terminating instance %s: %s", id_, ending.why)
            ending.asked, ending.forced = True, force
        if last is not None:
            raise last

    def _tell(self, trouble: Ec2Error | None) -> None:
        """Log a failure when it begins and ends, not in every round."""
        known = self._trouble
        self._trouble = trouble.as_ours() if trouble else None
        if self._trouble is None and known is not None:
            _log.info("EC2 responds again")
        elif self._trouble is not None and str(known) != str(self._trouble):
            _log.warning("%s Nodes keep running; none can be started or terminated.", self._trouble)

    # ---- launching: one thread each

    def _launch(self, launch: Launch) -> None:
        try:
            instance = self._ask_everywhere(launch)
        except Ec2Error as trouble:
            self._not_launched(launch, trouble)
        except Exception as error:  # noqa: BLE001 - a failed launch must free its slot
            _log.exception("launching node %d failed", launch.slot)
            self._not_launched(launch, Ec2Error(type(error).__name__, "RunInstances", unknown=True))
        else:
            self._launched(launch, instance)
        self._wake.set()

    def _launched(self, launch: Launch, instance: Instance) -> None:
        _log.info("launched instance %s as node %d", instance.id, launch.slot)
        with self._lock:
            self._fleet.launched(launch, instance, self._clock())
            if launch.cancelled:
                self._end(instance.id, f"node {launch.slot} is no longer wanted", 0.0)

    def _not_launched(self, launch: Launch, trouble: Ec2Error) -> None:
        with self._lock:
            if trouble.unknown:
                launch.abandoned = True
            else:
                self._fleet.not_launched(launch)
            if not launch.cancelled and not self._stopping.is_set():
                _log.warning("launching node %d failed: %s", launch.slot, trouble.explain())
                self._failures[launch.slot] = str(trouble.as_ours())

    def _ask_everywhere(self, launch: Launch) -> Instance:
        """Try the subnets in turn while they lack capacity. Raises Ec2Error."""
        subnets = [*self._subnets[launch.slot % len(self._subnets) :], *self._subnets]
        last: Ec2Error | None = None
        for number, subnet in enumerate(subnets[: len(self._subnets)]):
            try:
                # Another subnet is another request: EC2 must not take it for a retry.
                return self._ask_until_decided(launch, subnet, f"{launch.name}-{number}")
            except Ec2Error as trouble:
                if not trouble.no_capacity:
                    raise
                last = trouble
        raise last or Ec2Error("NoSubnet", "RunInstances")

    def _ask_until_decided(self, launch: Launch, subnet: str, token: str) -> Instance:
        """Retry until EC2 accepts or refuses; the token ensures that only one is launched. Raises Ec2Error."""
        unknown = False
        for pause in (*self._pace.pauses, None):
            if launch.cancelled or self._stopping.is_set():
                raise Ec2Error("Cancelled", "RunInstances", unknown=unknown)
            launch.tried_at = self._clock()
            try:
                return self._service.run(launch.slot, launch.name, subnet, token, self._user_data(launch.slot))
            except Ec2Error as trouble:
                unknown = unknown or trouble.unknown
                again = trouble.unknown or trouble.throttled
                if not again or pause is None:
                    trouble.unknown = unknown and again
                    raise
            self._stopping.wait(pause)
        raise Ec2Error("Cancelled", "RunInstances", unknown=unknown)
