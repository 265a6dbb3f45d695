"""The rules of the protocol, as the steps that are possible in a world. Each clause can be broken by itself.

What is left out, since it can only make a stale read rarer: readers. Any number of them may start at any moment and
ask any member, whatever map they know, for members judge by their own; so `stale` looks at what a read that starts
now would get. A read that waits for a fill gets what the fill brings, which is the same as joining late.

The one thing that time promises: a member is dead only when its last lease is over (3.5 s of waiting against 3 s of
lease, counted from when the poll was sent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property

from tests.model.maps import Maps
from tests.model.state import (
    ASKED,
    COMMITTED,
    CUT,
    DEAD,
    DONE,
    DOWN,
    FENCED,
    IDLE,
    LEAVING,
    LIVE,
    NAMES,
    NEAR,
    NO_MAP,
    NODES,
    NOTHING,
    TELLING,
    UP,
    Member,
    World,
    Writer,
)

Step = tuple[str, World]
Stages = tuple[tuple[int, ...], ...]


@cache
def in_order(copies: tuple[int, ...]) -> Stages:
    """One node after another, then the near cache."""
    return (*((slot,) for slot in copies), (NEAR,))


@dataclass(frozen=True)
class Rules:
    """The protocol, or with one of these changed a broken one."""

    maps: Maps = field(default_factory=Maps)
    stages: Callable[[tuple[int, ...]], Stages] = in_order
    """Whom a writer tells, given the copies in the map's order: the members of one stage in any order."""
    reads_again: bool = True
    """The map and the members are read again before the acknowledgement."""
    drops_at_close: bool = True
    """A node drops what a map takes from it, before it names the map's epoch."""
    drops_at_abort: bool = True
    spoils_at_maps: bool = True
    """Fills of what a map takes away are spoiled, too."""
    asks_by_its_own_map: bool = True
    """A fill asks another node only where the map that its node obeys names it as the previous owner."""
    pulls_registered: bool = True
    spoiled_leave: bool = True
    inserts_at_once: bool = True
    """The check for spoiling and the insertion are one."""
    registers_first: bool = True
    keeps_bypass: bool = False
    old_snapshots: bool = False
    clears_when_fenced: bool = True
    waits_for_leases: bool = True
    """A fenced member is dead only when its lease is over."""
    dark_before_leaving: bool = True
    """A member that stops goes dark and drops everything before it says so."""
    lease_at_nodes: bool = True
    lease_at_near: bool = True
    lease_at_peers: bool = True
    renditions: bool = False
    """Whether renditions are asked for: without them there are fewer worlds."""
    makes_registered: bool = True
    """A rendition's fill is registered before its original is looked for."""
    checks_originals: bool = True
    """The fill of an original that a rendition is made of is kept only where it was not spoiled."""
    index_has_renditions: bool = True
    """An invalidation finds the renditions of its key."""
    index_has_makings: bool = True
    """An invalidation finds the fills of renditions, too."""

    def stale(self, world: World) -> str | None:
        """What a read that starts now could get and must not; None where all is well."""
        for who, member in enumerate(world.members):
            if not self.answers(who, member):
                continue
            for held, version in (
                ("holds", member.entry),
                ("is being brought", member.fill),
                ("holds a rendition of", member.rendition),
                ("is making a rendition of", member.making),
            ):
                if 0 <= version < world.acknowledged:
                    return f"{NAMES[who]} {held} version {version}, though {world.acknowledged} is acknowledged"
        return None

    def answers(self, who: int, member: Member) -> bool:
        """Whether a member answers a read from memory."""
        checked = self.lease_at_near if who == NEAR else self.lease_at_nodes
        return member.process != DOWN and (member.leased or not checked) and self._serves(who, member)

    def _serves(self, who: int, member: Member) -> bool:
        return who == NEAR or (member.taken != NO_MAP and who in self.maps.place(member.taken).readers)

    def reduced(self, world: World) -> World:
        """The same world without what can never be shown, nor be stale: fewer worlds to see, and no stale one lost.

        What is as new as can be is never stale, and could be evicted at any moment. What a member holds that is dark
        and no longer live will be cleared before it answers again, where the rules say so.
        """
        newest, members = len(world.writers), world.members
        for who, member in enumerate(members):
            # Broken rules alone have something in hand and something spoiled, and may answer without a lease.
            if newest in _versions(member):
                members = (*members[:who], _without(member, newest), *members[who + 1 :])
            elif member.row != LIVE and not member.leased and self._clears and member.process != DOWN:
                members = (*members[:who], _emptied(member), *members[who + 1 :])
        return world if members is world.members else world._replace(members=members)

    @cached_property
    def _clears(self) -> bool:
        return self.clears_when_fenced and self.lease_at_nodes and self.lease_at_near and self.lease_at_peers

    def steps(self, world: World) -> Iterator[Step]:
        """Every step that somebody can take."""
        if world.acknowledged == len(world.writers) and not _old_bytes(world):
            return  # all is acknowledged and nothing older is left anywhere: nothing can go wrong any more
        for who in (*NODES, NEAR):
            yield from self._memory(world, who)
            yield from self._life(world, who)
        yield from self._resize(world)
        for number in range(len(world.writers)):
            yield from self._write(world, number)

    # --- a member's memory

    def _memory(self, world: World, who: int) -> Iterator[Step]:
        member, name = world.members[who], NAMES[who]
        if member.process == DOWN:
            return
        if member.entry != NOTHING:
            yield f"{name} evicts version {member.entry}", _with(world, who, entry=NOTHING)
        if member.entry == NOTHING and member.fill == NOTHING and self.answers(who, member) and self.registers_first:
            yield f"{name} registers a fill", _with(world, who, fill=ASKED)
        if member.fill == ASKED:
            for source, version in self._sources(world, who):
                yield f"{name}'s fill gets version {version} from {source}", _with(world, who, fill=version)
        if member.fill >= 0:
            yield f"{name}'s fill with version {member.fill} ends", self._ended(world, who)
        if member.loose != NOTHING:
            inserted = _with(world, who, entry=member.loose, loose=NOTHING)
            yield f"{name} inserts version {member.loose}", inserted
        elif member.entry == NOTHING:
            yield from self._unregistered(world, who)
        if self.renditions:
            yield from self._rendition(world, who)

    def _rendition(self, world: World, who: int) -> Iterator[Step]:
        """What may happen to the rendition. Its original comes and goes by steps of its own, at any moment."""
        member, name = world.members[who], NAMES[who]
        if member.rendition != NOTHING:
            yield f"{name} evicts a rendition of version {member.rendition}", _with(world, who, rendition=NOTHING)
        elif member.making == NOTHING and self.answers(who, member):
            if self.makes_registered:
                yield f"{name} registers a rendition's fill", _with(world, who, making=ASKED)
            else:
                for source, version in self._originals(world, who):
                    made = _with(world, who, loose_rendition=version)
                    yield f"{name} makes an unregistered rendition of version {version} from {source}", made
        if member.making == ASKED:
            for source, version in self._originals(world, who):
                yield (
                    f"{name}'s rendition is made of version {version} from {source}",
                    _with(world, who, making=version),
                )
        if member.making >= 0:
            ended = _with(world, who, rendition=member.making, making=NOTHING)
            yield f"{name}'s rendition of version {member.making} is kept", ended
        if member.loose_rendition != NOTHING:
            inserted = _with(world, who, rendition=member.loose_rendition, loose_rendition=NOTHING)
            yield f"{name} inserts a rendition of version {member.loose_rendition}", inserted

    def _originals(self, world: World, who: int) -> Iterator[tuple[str, int]]:
        """What a rendition may be made of, or where it may come from."""
        member = world.members[who]
        if who == NEAR:
            for node in NODES:
                other = world.members[node]
                if self.answers(node, other):
                    for version in {other.rendition, other.making} - {NOTHING, ASKED}:
                        yield f"node {NAMES[node]}", version
            return
        for version in {member.entry, member.fill} - {NOTHING, ASKED}:
            yield "its original", version
        previous = self._previous_owner(world, who)
        if previous is not None and world.members[previous].rendition != NOTHING:
            yield f"node {NAMES[previous]}", world.members[previous].rendition

    def _sources(self, world: World, who: int) -> Iterator[tuple[str, int]]:
        """Where a fill may get its bytes now."""
        if who == NEAR:
            for node in NODES:
                other = world.members[node]
                if self.answers(node, other):
                    for version in {other.entry, other.fill} - {NOTHING, ASKED}:
                        yield f"node {NAMES[node]}", version
            return
        yield "storage", world.stored
        if world.snapshot != NOTHING:
            yield "an old snapshot", world.snapshot
        yield from self._previous(world, who)

    def _previous(self, world: World, who: int) -> Iterator[tuple[str, int]]:
        """What the previous owner, by this node's own map, gives from memory."""
        previous = self._previous_owner(world, who)
        if previous is not None and world.members[previous].entry != NOTHING:
            yield f"node {NAMES[previous]}", world.members[previous].entry

    def _previous_owner(self, world: World, who: int) -> int | None:
        """The previous owner by this node's own map, if it answers."""
        member = world.members[who]
        if member.taken == NO_MAP:
            return None
        previous = self.maps.place(member.taken).previous if self.asks_by_its_own_map else 1 - who
        if previous is None or previous == who:
            return None
        other = world.members[previous]
        allowed = other.process != DOWN and (other.leased or not self.lease_at_peers) and self._serves(previous, other)
        return previous if allowed else None

    def _ended(self, world: World, who: int) -> World:
        member = world.members[who]
        if member.spoiled:
            return _with(world, who, fill=NOTHING, spoiled=False)
        if self.inserts_at_once:
            return _with(world, who, entry=member.fill, fill=NOTHING)
        return _with(world, who, loose=member.fill, fill=NOTHING)

    def _unregistered(self, world: World, who: int) -> Iterator[Step]:
        """Bytes that come without a registered fill: what broken rules allow."""
        member, name = world.members[who], NAMES[who]
        if not self.registers_first and self.answers(who, member):
            for source, version in self._sources(world, who):
                yield f"{name} reads version {version} from {source}", _with(world, who, loose=version)
        if not self.pulls_registered and who != NEAR and member.fill == NOTHING:
            for source, version in self._previous(world, who):
                yield f"{name} pulls version {version} from {source}", _with(world, who, loose=version)
        if self.keeps_bypass and who == NEAR:
            yield f"{name} bypasses and reads version {world.stored}", _with(world, who, loose=world.stored)

    # --- a member's life

    def _life(self, world: World, who: int) -> Iterator[Step]:
        member, name = world.members[who], NAMES[who]
        if member.process == UP:
            if member.row == LIVE:
                if not member.leased or (member.taken != world.map and who != NEAR):
                    yield f"{name} polls", _put(world, who, self._obeyed(who, member, world.map)._replace(leased=True))
            elif self.clears_when_fenced:
                yield f"{name} learns that it is {member.row}, clears and registers anew", _reborn(world, who)
            else:
                yield f"{name} learns that it is {member.row} and is renewed", _with(world, who, row=LIVE, leased=True)
        if member.leased and (member.process == CUT or member.row != LIVE):
            yield f"{name}'s lease ends", _with(world, who, leased=False)
        if member.row == LIVE and member.process in (CUT, DOWN):
            yield f"somebody waited for {name} in vain and fences it", _with(world, who, row=FENCED)
        if member.row == FENCED and not (member.leased and self.waits_for_leases):
            yield f"{name} is counted as dead", _with(world, who, row=DEAD)
        yield from self._faults(world, who)

    def _faults(self, world: World, who: int) -> Iterator[Step]:
        member, name = world.members[who], NAMES[who]
        if member.process == CUT:
            yield f"{name} is no longer cut off", _with(world, who, process=UP)
        elif member.process == LEAVING:
            yield f"{name} ends", _put(world, who, _ended_process(member))
            if self.dark_before_leaving and member.row != DEAD:
                yield f"{name} says that it has left", _with(world, who, row=DEAD)
        elif member.process == DOWN:
            yield f"{name} is started again", _reborn(world, who)
            if member.row != DEAD:
                yield f"{name}'s end is proven", _with(world, who, row=DEAD)
        elif world.faults_left:
            fewer = world._replace(faults_left=world.faults_left - 1)
            yield f"FAULT: {name} is cut off", _with(fewer, who, process=CUT)
            yield f"FAULT: {name} is killed", _put(fewer, who, _ended_process(member))
            if self.dark_before_leaving:
                dark = _emptied(member)._replace(process=LEAVING, leased=False)
                yield f"FAULT: {name} stops: it goes dark and drops everything", _put(fewer, who, dark)
            else:
                yield f"FAULT: {name} stops and says so", _with(fewer, who, process=LEAVING, row=DEAD)
            if member.row == LIVE:
                yield f"FAULT: {name} is slow and is fenced", _with(fewer, who, row=FENCED)

    def _obeyed(self, who: int, member: Member, number: int) -> Member:
        """The member after it took a map, when it may name it."""
        if who == NEAR:
            return member  # it may keep any partition, and nobody waits for it to name an epoch
        taken, place = member._replace(taken=number), self.maps.place(number)
        aborted = len(place.copies) > 1 and place.owner == place.copies[0]
        if who in place.readers or not (self.drops_at_abort if aborted else self.drops_at_close):
            return taken
        return self._told(taken) if self.spoils_at_maps else taken._replace(entry=NOTHING, rendition=NOTHING)

    def _told(self, member: Member) -> Member:
        """The member after it dropped the key and spoiled its fills."""
        loose = member.loose if self.checks_originals or member.fill < 0 else member.fill
        told = member._replace(
            entry=NOTHING,
            loose=loose,
            rendition=NOTHING if self.index_has_renditions else member.rendition,
            making=NOTHING if self.index_has_makings else member.making,
        )
        if self.spoiled_leave or member.fill == NOTHING:
            return told._replace(fill=NOTHING)
        return told._replace(spoiled=True)

    # --- the autoscaler

    def _resize(self, world: World) -> Iterator[Step]:
        maps, number = self.maps, world.map
        phase, place = maps.phase(number), maps.place(number)
        if phase == "settled" and world.resizes_left and all(world.members[slot].row == LIVE for slot in NODES):
            other = 1 - place.owner
            opened = world._replace(map=maps.opened(number, other), resizes_left=world.resizes_left - 1)
            yield f"the map opens a resize from {NAMES[place.owner]} to {NAMES[other]}", opened
        if phase == "open":
            yield "the map closes the resize", world._replace(map=maps.closed(number))
            yield "the map aborts the resize", world._replace(map=maps.aborted(number))
        if phase == "closing" and all(self._named(world, slot) for slot in place.copies):
            yield "the map settles", world._replace(map=maps.settled(number))
        gone = tuple(slot for slot in place.readers if world.members[slot].row == DEAD)
        living = [slot for slot in NODES if world.members[slot].row == LIVE]
        if gone and living:
            failed_over = world._replace(map=maps.failed_over(number, gone, living[0]))
            yield f"the map fails over to {NAMES[maps.place(failed_over.map).owner]}", failed_over

    def _named(self, world: World, slot: int) -> bool:
        member = world.members[slot]
        if member.row == DEAD:
            return True
        return member.taken != NO_MAP and self.maps.epoch(member.taken) >= self.maps.epoch(world.map)

    # --- a writer

    def _write(self, world: World, number: int) -> Iterator[Step]:
        writer, version = world.writers[number], number + 1
        if writer.at == IDLE and world.stored == number:
            yield f"write {version} commits", _by(world._replace(stored=version), number, Writer(COMMITTED))
            if self.old_snapshots and world.snapshot == NOTHING:
                yield "a transaction of the database begins", world._replace(snapshot=world.stored)
        elif writer.at == COMMITTED:
            yield f"write {version} reads the pool", _by(world, number, Writer(TELLING, world.view()))
        elif writer.at == TELLING:
            yield from self._tell(world, number, version)
            if world.faults_left:
                fewer = world._replace(faults_left=world.faults_left - 1)
                yield (
                    f"FAULT: write {version}'s process is killed; another takes up its change",
                    _by(fewer, number, Writer(COMMITTED)),
                )

    def _tell(self, world: World, number: int, version: int) -> Iterator[Step]:
        writer = world.writers[number]
        view = writer.view
        assert view is not None
        for stage in self.stages(self.maps.order(view.map)):
            if writer.told.issuperset(stage):
                continue
            for who in stage:
                if who in writer.told:
                    continue
                told = _by(world, number, Writer(TELLING, view, writer.told | {who}))
                member = world.members[who]
                if (
                    member.row == DEAD
                    or view.rows[who] != (member.life, view.rows[who][1])
                    or view.rows[who][1] == DEAD
                ):
                    yield f"write {version} passes over {NAMES[who]}, which is dead", told
                elif member.process in (UP, LEAVING):
                    yield f"write {version} invalidates at {NAMES[who]}", _put(told, who, self._told(member))
            return
        if view == world.view() or not self.reads_again:
            acknowledged = world._replace(acknowledged=max(world.acknowledged, version))
            yield f"write {version} is ACKNOWLEDGED", _by(acknowledged, number, Writer(DONE))
        else:
            yield f"write {version} sees that the pool has changed", _by(world, number, Writer(TELLING, world.view()))


def _old_bytes(world: World) -> bool:
    newest = len(world.writers)
    held = (version for member in world.members for version in _versions(member))
    return 0 <= world.snapshot < newest or any(0 <= version < newest for version in held)


def _versions(member: Member) -> tuple[int, ...]:
    """What it holds, brings, makes or has in hand."""
    return member.entry, member.fill, member.loose, member.rendition, member.making, member.loose_rendition


def _without(member: Member, version: int) -> Member:
    left = [NOTHING if held == version else held for held in _versions(member)]
    entry, fill, loose, rendition, making, loose_rendition = left
    return member._replace(
        entry=entry,
        fill=fill,
        spoiled=member.spoiled and member.fill != version,
        loose=loose,
        rendition=rendition,
        making=making,
        loose_rendition=loose_rendition,
    )


def _emptied(member: Member) -> Member:
    return member._replace(entry=NOTHING, fill=NOTHING, rendition=NOTHING, making=NOTHING)


def _with(world: World, who: int, **changes: object) -> World:
    return _put(world, who, world.members[who]._replace(**changes))  # type: ignore[arg-type]


def _put(world: World, who: int, member: Member) -> World:
    members = world.members
    return World._make((*world[:3], (*members[:who], member, *members[who + 1 :]), *world[4:]))


def _ended_process(member: Member) -> Member:
    return Member(life=member.life, row=member.row, process=DOWN, leased=False, taken=NO_MAP)


def _reborn(world: World, who: int) -> World:
    return _put(world, who, Member(life=world.members[who].life + 1, leased=False, taken=NO_MAP))


def _by(world: World, number: int, writer: Writer) -> World:
    writers = world.writers
    return World._make((*world[:4], (*writers[:number], writer, *writers[number + 1 :]), *world[5:]))
