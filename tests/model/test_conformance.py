"""The model's node is the real cache: both are taken through the same steps and must agree after each.

A world watches one key. Here one real cache holds three, two of them in one partition, beside a node of the model for
each: so what a cache does with one key changes nothing for another, but where one call tells of both.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.model.history import KEY, NEIGHBOUR, STRANGER
from tests.model.maps import Maps
from tests.model.rules import Rules
from tests.model.state import DEAD, LEAVING, NO_MAP, NOTHING, UP, A, B, Member, World

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.core.renditions import PRESETS, rendition_name, split_name
from elastic_images.core.visibility import VISIBILITIES, Visibility
from elastic_images.pool.view import LEASE_SECONDS

KEYS = (KEY, NEIGHBOUR, STRANGER)
MAPS = {key: Maps(key) for key in KEYS}
RULES = {key: Rules(maps=MAPS[key], renditions=True) for key in KEYS}
A_KEY = st.sampled_from(KEYS)


def thumb(key: str) -> str:
    return rendition_name(key, PRESETS["thumb"])


def _history(maps: Maps) -> list[int]:
    """Maps in the order of their epochs, in which node A has every part there is, also twice in a row."""
    opened = maps.opened(0, B)
    on_b = maps.settled(maps.closed(opened))
    back = maps.settled(maps.closed(maps.opened(on_b, A)))
    aborted = maps.aborted(maps.opened(back, B))
    died = maps.failed_over(maps.opened(maps.settled(aborted), B), (A,), B)
    last = maps.opened(maps.settled(died), A)
    ways = [opened, maps.closed(opened), on_b, maps.opened(on_b, A), back, aborted, maps.settled(aborted), died, last]
    return sorted({0, *ways}, key=maps.epoch)


HISTORY, *_ = [_history(maps) for maps in MAPS.values()]  # all have the same maps, by the same numbers


def visibility_of(version: int) -> Visibility:
    """Another one for each version, so that what an entry is judged by is seen to come with its bytes."""
    return VISIBILITIES[version % len(VISIBILITIES)]


def entry(name: str, version: int) -> Entry:
    return Entry(
        name,
        b"",
        content_type="image/png",
        etag='"e"',
        version=version,
        updated_at=0.0,
        visibility=visibility_of(version),
        owner_id=version,
    )


class NodeMachine(RuleBasedStateMachine):
    """Nodes A of the model, one for each key, beside a `CoherentCache` in slot 0."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.at = 0
        self.start()

    def start(self) -> None:
        self.lives = 0
        self.cache = CoherentCache(ByteCache(1_000_000), lambda: self.now, slot=A)
        self.cache.start_incarnation("0")
        self.members = dict.fromkeys(KEYS, Member(leased=False, taken=NO_MAP))
        self.fills: list[Fill] = []
        """All that are under way; `joinable` are those that the model has in the node's table, by name."""
        self.joinable: dict[str, Fill] = {}

    @property
    def member(self) -> Member:
        """For what is the same for all keys."""
        return self.members[KEY]

    # What the model says is possible, by the beginning of the step's name.
    def model(self, key: str, start: str) -> Member | None:
        # So many writes to come that the model never leaves a version out as one that cannot be stale.
        world = World(map=HISTORY[self.at], members=(self.members[key], Member(), Member()), stored=1, resizes_left=0)
        world = world._replace(writers=world.writers * 9, faults_left=1)
        return next((after.members[A] for label, after in RULES[key].steps(world) if label.startswith(start)), None)

    def all_step(self, start: str) -> None:
        """A step of the node, and so of all keys, where the model has it."""
        self.members = {key: self.model(key, start) or member for key, member in self.members.items()}

    def change(self, **changes: object) -> None:
        self.members = {key: member._replace(**changes) for key, member in self.members.items()}  # type: ignore[arg-type]

    @precondition(lambda self: self.member.process == UP)
    @rule(later=st.integers(0, 2))
    def poll(self, later: int) -> None:
        self.at = min(self.at + later, len(HISTORY) - 1)
        if self.member.row == DEAD:
            self.lives += 1
            self.cache.start_incarnation(str(self.lives))
            self.members = dict.fromkeys(KEYS, Member(leased=False, taken=NO_MAP))
            return
        self.cache.take_map(MAPS[KEY].pool_map(HISTORY[self.at]))
        self.cache.renew_lease(self.now + LEASE_SECONDS)
        self.all_step("A polls")

    @rule()
    def take_an_older_map(self) -> None:
        if self.member.taken != NO_MAP:
            self.cache.take_map(MAPS[KEY].pool_map(HISTORY[0]))

    @precondition(lambda self: self.member.process == UP)
    @rule()
    def leave(self) -> None:
        self.cache.leave()
        self.all_step("FAULT: A stops")

    @precondition(lambda self: self.member.process == LEAVING)
    @rule()
    def be_renewed_late(self) -> None:
        self.cache.renew_lease(self.now + LEASE_SECONDS)

    @precondition(lambda self: self.member.process == LEAVING)
    @rule()
    def restart(self) -> None:
        self.start()

    @rule()
    def lapse(self) -> None:
        self.now += LEASE_SECONDS
        self.change(leased=False)

    @precondition(lambda self: not self.member.leased)
    @rule()
    def die(self) -> None:
        self.change(row=DEAD)

    @rule(key=A_KEY)
    def read(self, key: str) -> None:
        self.begin(key, key, self.members[key].entry, "A registers a fill", self.cache.lookup_or_begin_fill(key))

    @rule(key=A_KEY)
    def read_for_a_rendition(self, key: str) -> None:
        self.begin(key, key, self.members[key].entry, "A registers a fill", self.cache.original_or_begin_fill(key))

    @rule(key=A_KEY)
    def read_a_rendition(self, key: str) -> None:
        begun = self.cache.lookup_or_begin_fill(thumb(key))
        self.begin(key, thumb(key), self.members[key].rendition, "A registers a rendition's fill", begun)

    def begin(self, key: str, name: str, held: int, label: str, begun: Entry | FillTicket | Refusal) -> None:
        registered = self.model(key, label)
        if registered is not None:
            assert isinstance(begun, FillTicket)
            assert begun.leader
            self.fills.append(begun.fill)
            self.joinable[name] = begun.fill
            self.members[key] = registered
        elif not RULES[key].answers(A, self.members[key]):
            assert isinstance(begun, Refusal)
        elif held != NOTHING:
            assert isinstance(begun, Entry)
        else:
            assert isinstance(begun, FillTicket)
            assert not begun.leader
            assert begun.fill is self.joinable[name]

    @precondition(lambda self: self.fills)
    @rule(data=st.data(), version=st.integers(0, 3))
    def end_a_fill(self, data: st.DataObject, version: int) -> None:
        fill = self.fills.pop(data.draw(st.integers(0, len(self.fills) - 1)))
        key = split_name(fill.key)[0]
        member = self.members[key]
        registered = member.fill if fill.key == key else member.making
        kept = registered != NOTHING and fill is self.joinable[fill.key]
        assert self.cache.complete_fill(fill, entry(fill.key, version)) == kept
        if kept and fill.key == key:
            self.members[key] = member._replace(fill=version)
            self.members[key] = self.model(key, "A's fill with version") or member
        elif kept:
            self.members[key] = member._replace(making=version)
            self.members[key] = self.model(key, "A's rendition of version") or member

    @precondition(lambda self: self.fills)
    @rule(data=st.data())
    def fail_a_fill(self, data: st.DataObject) -> None:
        fill = self.fills.pop(data.draw(st.integers(0, len(self.fills) - 1)))
        self.cache.fail_fill(fill, OSError("the source is gone"))
        if fill is self.joinable[fill.key]:
            key = split_name(fill.key)[0]
            member = self.members[key]
            gone = member._replace(fill=NOTHING) if fill.key == key else member._replace(making=NOTHING)
            self.members[key] = gone

    @rule(keys=st.sets(A_KEY, min_size=1))
    def be_told(self, keys: set[str]) -> None:
        self.cache.invalidate_keys(self.cache.incarnation, sorted(keys))
        for key in keys:
            self.members[key] = RULES[key]._told(self.members[key])

    @rule()
    def evict(self) -> None:
        self.cache.configure(0, "LRU")
        self.cache.configure(1_000_000, "LRU")
        self.all_step("A evicts version")
        self.all_step("A evicts a rendition")

    @invariant()
    def they_agree(self) -> None:
        for key, member in self.members.items():
            name = thumb(key)
            assert isinstance(self.cache.peek(key), Refusal) != RULES[key].answers(A, member)
            held = self.cache._cache.peek(key)
            assert (held.version if held else NOTHING) == member.entry
            made = self.cache._cache.peek(name)
            assert (made.version if made else NOTHING) == member.rendition
            for one in (held, made):
                assert one is None or (one.visibility, one.owner_id) == (visibility_of(one.version), one.version)
            assert (key in self.cache._fills) == (member.fill != NOTHING)
            assert (name in self.cache._fills) == (member.making != NOTHING)
            taken = 0 if member.taken == NO_MAP else MAPS[key].epoch(member.taken)
            assert self.cache.epoch == taken


TestTheNodeOfTheModel = NodeMachine.TestCase
TestTheNodeOfTheModel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
