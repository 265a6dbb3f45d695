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
from itertools import chain
from typing import Literal

from tests.model.history import History, Write
from tests.model.maps import Maps
from tests.model.state import (
    ASKED,
    BESIDE,
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
JudgedBy = Literal["own", "asked first", "remembered", "the nodes' copies", "the original", "nothing"]


@cache
def in_order(nodes: tuple[int, ...], near: int) -> Stages:
    """One node after another, then the near cache."""
    return (*((call,) for call in nodes), (near,))


def every_key(write: Write) -> tuple[str, ...]:
    """A write invalidates all keys that it changes."""
    return write.keys


@dataclass(frozen=True)
class Rules:
    """The protocol, or with one of these changed a broken one."""

    maps: Maps = field(default_factory=Maps)
    history: History = field(default_factory=History)
    stages: Callable[[tuple[int, ...], int], Stages] = in_order
    """A writer's calls, given those to nodes in the map's order and that to the near cache: those of one stage in any
    order."""
    tells: Callable[[Write], tuple[str, ...]] = every_key
    """The keys that a writer invalidates."""
    waits_for_both: bool = True
    """A rename is acknowledged when both of its keys are invalidated."""
    taken_up_whole: bool = True
    """Whoever takes up a change takes up all of its keys."""
    judged_by: JudgedBy = "own"
    """The visibility that a read is judged by: that of the very bytes that it returns. Or one that was asked for before
    them, or remembered apart from them; at a near cache that of what nodes hold, or none, which counts as public; of
    renditions that of the original that happens to be there."""
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
    _known_calls: dict[tuple[int, int, bool], tuple[Stages, int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

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
                if version < 0:
                    continue
                for judged in (version,) if self.judged_by == "own" else self._judges(world, who, held, version):
                    if wrong := self.history.wrong(version, judged, world.acknowledged, world.stored, world.saw):
                        return f"{NAMES[who]} {held} version {version}, {world.acknowledged} is acknowledged: {wrong}"
        return None

    def _judges(self, world: World, who: int, held: str, version: int) -> tuple[int, ...]:
        """Under a broken rule: the versions whose visibility a read of what is held may be judged by."""
        member = world.members[who]
        if self.judged_by in ("asked first", "remembered") and member.shown != NOTHING:
            return (member.shown,)
        if self.judged_by == "the nodes' copies" and who == NEAR:
            copies = [world.members[node] for node in NODES if self.answers(node, world.members[node])]
            return tuple(copy.entry for copy in copies if copy.entry >= 0)
        if self.judged_by == "the original" and held == "holds a rendition of" and member.entry >= 0:
            return (member.entry,)
        if self.judged_by == "nothing" and who == NEAR:
            return (NOTHING,)
        return (version,)

    def answers(self, who: int, member: Member) -> bool:
        """Whether a member answers a read from memory."""
        checked = self.lease_at_near if who == NEAR else self.lease_at_nodes
        return member.process != DOWN and (member.leased or not checked) and self._serves(who, member)

    def _serves(self, who: int, member: Member) -> bool:
        return who == NEAR or (member.taken != NO_MAP and who in self.maps.place(member.taken).readers)

    def reduced(self, world: World) -> World:
        """The same world without what can never be shown, nor be stale: fewer worlds to see, and no stale one lost.

        What can never be wrong, as the newest version, could be evicted at any moment. What a member holds that is dark
        and no longer live will be cleared before it answers again, where the rules say so. A writer that has to begin
        anew does so at once: members can do by themselves what its calls would still do to them.
        """
        if self._begins_anew:
            world = _begun_anew(world)
        harmless, members = self._harmless[len(world.writers)], world.members
        for who, member in enumerate(members):
            # Broken rules alone have something in hand and something spoiled, and may answer without a lease.
            if not harmless.isdisjoint(_versions(member)):
                members = (*members[:who], _without(member, harmless), *members[who + 1 :])
            elif member.row != LIVE and not member.leased and self._clears and member.process != DOWN:
                members = (*members[:who], _emptied(member), *members[who + 1 :])
        return world if members is world.members else world._replace(members=members)

    @cached_property
    def _harmless(self) -> list[frozenset[int]]:
        """By the number of writes, the versions that can never be wrong."""
        judged = self.judged_by == "own"
        numbers = range(len(self.history.writes) + 1)
        return [self.history.harmless(number) if judged else frozenset() for number in numbers]

    @cached_property
    def _begins_anew(self) -> bool:
        """Whether no write is acknowledged by a view of the pool that is no longer true, and no view comes back."""
        return (
            self.reads_again
            and self.clears_when_fenced
            and self.waits_for_both
            and self.spoiled_leave
            and self.checks_originals
            and self.judged_by == "own"
        )

    @cached_property
    def _clears(self) -> bool:
        return self.clears_when_fenced and self.lease_at_nodes and self.lease_at_near and self.lease_at_peers

    def steps(self, world: World) -> Iterator[Step]:
        """Every step that somebody can take."""
        if world.acknowledged == len(world.writers) and self.judged_by == "own" and not _old_bytes(world):
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
        apart = self.judged_by == "remembered" or (self.judged_by == "asked first" and member.fill == ASKED)
        if apart and member.shown == NOTHING:
            shown = self._latest(world, world.stored)
            yield f"{name} asks storage for the visibility of version {shown}", _with(world, who, shown=shown)
        elif member.fill == ASKED:
            for source, version in self._sources(world, who):
                yield f"{name}'s fill gets version {version} from {source}", _with(world, who, fill=version)
        if member.fill != NOTHING:
            yield f"{name}'s fill fails", _with(world, who, fill=NOTHING, spoiled=False)
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
        if member.making != NOTHING:
            yield f"{name}'s rendition fails", _with(world, who, making=NOTHING)
        if member.making >= 0:
            kept = member.making if self.history.has_image(member.making, world.saw) else NOTHING
            ended = _with(world, who, rendition=kept, making=NOTHING)
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
        yield "storage", self._latest(world, world.stored)
        if world.snapshot != NOTHING:
            yield "an old snapshot", self._latest(world, world.snapshot)
        yield from self._previous(world, who)

    def _latest(self, world: World, stored: int) -> int:
        """The watched key's version in the catalog after so many writes."""
        return self.history.latest(stored, world.saw)

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
        if member.spoiled or not self.history.has_image(member.fill, world.saw):
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
            version = self._latest(world, world.stored)
            yield f"{name} bypasses and reads version {version}", _with(world, who, loose=version)

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
            shown=NOTHING if self.judged_by == "asked first" else member.shown,
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
        gone = tuple(slot for slot in maps.readers(number) if world.members[slot].row == DEAD)
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
        if writer.at == IDLE:
            yield from self._commit(world, number, version)
        elif writer.at == COMMITTED:
            telling = writer._replace(at=TELLING, view=world.view())
            yield f"write {version} reads the pool", _by(world, number, telling)
        elif writer.at == TELLING:
            yield from self._tell(world, number, version)
            if world.faults_left:
                fewer = world._replace(faults_left=world.faults_left - 1)
                taken_up = Writer(COMMITTED, whole=self.taken_up_whole)
                yield (
                    f"FAULT: write {version}'s process is killed; another takes up its change",
                    _by(fewer, number, taken_up),
                )

    def _commit(self, world: World, number: int, version: int) -> Iterator[Step]:
        """One transaction: rows are locked, in byte order, before they are looked at."""
        kind, looks = self.history.writes[number].kind, self.history.looks_first
        if kind == "move" and looks and world.saw == NOTHING:
            yield f"write {version} looks at a row without locking it", world._replace(saw=world.stored)
        elif world.stored == number:
            yield f"write {version} ({kind}) commits", _by(world._replace(stored=version), number, Writer(COMMITTED))
            if self.old_snapshots and world.snapshot == NOTHING:
                yield "a transaction of the database begins", world._replace(snapshot=world.stored)

    def _tell(self, world: World, number: int, version: int) -> Iterator[Step]:
        writer = world.writers[number]
        view = writer.view
        assert view is not None
        stages, enough = self._calls(number, view.map, writer.whole)
        for at, stage in enumerate(stages):
            if at == enough and world.acknowledged < version:
                yield f"write {version} is ACKNOWLEDGED", world._replace(acknowledged=version)
            if writer.told.issuperset(stage):
                continue
            for call in stage:
                if call in writer.told:
                    continue
                who, watched = call % BESIDE, call < BESIDE
                told = _by(world, number, writer._replace(told=writer.told | {call}))
                member = world.members[who]
                if (
                    member.row == DEAD
                    or view.rows[who] != (member.life, view.rows[who][1])
                    or view.rows[who][1] == DEAD
                ):
                    yield f"write {version} passes over {NAMES[who]}, which is dead", told
                elif member.process in (UP, LEAVING):
                    label = f"write {version} invalidates {'' if watched else 'the other key '}at {NAMES[who]}"
                    yield label, _put(told, who, self._told(member)) if watched else told
            return
        if view == world.view() or not self.reads_again:
            acknowledged = world._replace(acknowledged=max(world.acknowledged, version))
            yield f"write {version} is ACKNOWLEDGED", _by(acknowledged, number, Writer(DONE))
        else:
            again = Writer(TELLING, world.view(), whole=writer.whole)
            yield f"write {version} sees that the pool has changed", _by(world, number, again)

    def _calls(self, number: int, on_map: int, whole: bool) -> tuple[Stages, int]:
        """The calls of a write, and how many stages of them come before its acknowledgement."""
        found = self._known_calls.get((number, on_map, whole))
        if found is None:
            keys = self.tells(self.history.writes[number])
            keys = keys if whole else keys[:1]
            parts = [keys] if self.waits_for_both else [(key,) for key in keys]
            calls = [self.stages(self.maps.order(on_map, part), self.maps.call(NEAR, part)) for part in parts if part]
            found = tuple(chain.from_iterable(calls)), len(calls[0]) if len(calls) > 1 else -1
            self._known_calls[number, on_map, whole] = found
        return found


def _begun_anew(world: World) -> World:
    """The writers whose view of the pool is not true any more read it again; lives are told apart by views alone."""
    now = world.view()
    writers = tuple(
        Writer(COMMITTED, whole=writer.whole) if writer.at == TELLING and writer.view != now else writer
        for writer in world.writers
    )
    if any(member.life for member in world.members):
        assert not any(writer.at == TELLING for writer in writers)
        world = world._replace(members=tuple(member._replace(life=0) for member in world.members))
    return world if writers == world.writers else world._replace(writers=writers)


def _old_bytes(world: World) -> bool:
    newest = len(world.writers)
    held = (version for member in world.members for version in _versions(member))
    return 0 <= world.snapshot < newest or any(0 <= version < newest for version in held)


def _versions(member: Member) -> tuple[int, ...]:
    """What it holds, brings, makes or has in hand: the fields from `entry` to `loose_rendition`."""
    return member[5:11]


def _without(member: Member, harmless: frozenset[int]) -> Member:
    left = [NOTHING if held in harmless else held for held in _versions(member)]
    entry, fill, loose, rendition, making, loose_rendition = left
    return member._replace(
        entry=entry,
        fill=fill,
        spoiled=member.spoiled and member.fill not in harmless,
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
