"""The model's node is the real cache: both are taken through the same steps and must agree after each."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.model.maps import KEY, Maps
from tests.model.rules import Rules
from tests.model.state import DEAD, LEAVING, NO_MAP, NOTHING, UP, A, B, Member, World

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.pool.view import LEASE_SECONDS

MAPS = Maps()
RULES = Rules(maps=MAPS, renditions=True)
THUMB = rendition_name(KEY, PRESETS["thumb"])


def _history() -> list[int]:
    """Maps in the order of their epochs, in which node A has every part there is, also twice in a row."""
    opened = MAPS.opened(0, B)
    on_b = MAPS.settled(MAPS.closed(opened))
    back = MAPS.settled(MAPS.closed(MAPS.opened(on_b, A)))
    aborted = MAPS.aborted(MAPS.opened(back, B))
    died = MAPS.failed_over(MAPS.opened(MAPS.settled(aborted), B), (A,), B)
    last = MAPS.opened(MAPS.settled(died), A)
    ways = [opened, MAPS.closed(opened), on_b, MAPS.opened(on_b, A), back, aborted, MAPS.settled(aborted), died, last]
    return sorted({0, *ways}, key=MAPS.epoch)


HISTORY = _history()


def entry(name: str, version: int) -> Entry:
    return Entry(
        name,
        b"",
        content_type="image/png",
        etag='"e"',
        version=version,
        updated_at=0.0,
        visibility="public",
        owner_id=None,
    )


class NodeMachine(RuleBasedStateMachine):
    """Node A of the model beside a `CoherentCache` in slot 0."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.at = 0
        self.start()

    def start(self) -> None:
        self.lives = 0
        self.cache = CoherentCache(ByteCache(1_000_000), lambda: self.now, slot=A)
        self.cache.start_incarnation("0")
        self.member = Member(leased=False, taken=NO_MAP)
        self.fills: list[Fill] = []
        """All that are under way; `joinable` are those that the model has in the node's table, by name."""
        self.joinable: dict[str, Fill] = {}

    # What the model says is possible, by the beginning of the step's name.
    def model(self, start: str) -> Member | None:
        # So many writes to come that the model never leaves a version out as one that cannot be stale.
        world = World(map=HISTORY[self.at], members=(self.member, Member(), Member()), stored=1, resizes_left=0)
        world = world._replace(writers=world.writers * 9, faults_left=1)
        return next((after.members[A] for label, after in RULES.steps(world) if label.startswith(start)), None)

    @precondition(lambda self: self.member.process == UP)
    @rule(later=st.integers(0, 2))
    def poll(self, later: int) -> None:
        self.at = min(self.at + later, len(HISTORY) - 1)
        if self.member.row == DEAD:
            self.lives += 1
            self.cache.start_incarnation(str(self.lives))
            self.member = Member(leased=False, taken=NO_MAP)
            return
        self.cache.take_map(MAPS.pool_map(HISTORY[self.at]))
        self.cache.renew_lease(self.now + LEASE_SECONDS)
        self.member = self.model("A polls") or self.member

    @rule()
    def take_an_older_map(self) -> None:
        if self.member.taken != NO_MAP:
            self.cache.take_map(MAPS.pool_map(HISTORY[0]))

    @precondition(lambda self: self.member.process == UP)
    @rule()
    def leave(self) -> None:
        self.cache.leave()
        self.member = self.model("FAULT: A stops") or self.member

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
        self.member = self.member._replace(leased=False)

    @precondition(lambda self: not self.member.leased)
    @rule()
    def die(self) -> None:
        self.member = self.member._replace(row=DEAD)

    @rule()
    def read(self) -> None:
        self.begin(KEY, self.member.entry, "A registers a fill", self.cache.lookup_or_begin_fill(KEY))

    @rule()
    def read_for_a_rendition(self) -> None:
        self.begin(KEY, self.member.entry, "A registers a fill", self.cache.original_or_begin_fill(KEY))

    @rule()
    def read_a_rendition(self) -> None:
        begun = self.cache.lookup_or_begin_fill(THUMB)
        self.begin(THUMB, self.member.rendition, "A registers a rendition's fill", begun)

    def begin(self, name: str, held: int, label: str, begun: Entry | FillTicket | Refusal) -> None:
        registered = self.model(label)
        if registered is not None:
            assert isinstance(begun, FillTicket)
            assert begun.leader
            self.fills.append(begun.fill)
            self.joinable[name] = begun.fill
            self.member = registered
        elif not RULES.answers(A, self.member):
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
        registered = self.member.fill if fill.key == KEY else self.member.making
        kept = registered != NOTHING and fill is self.joinable[fill.key]
        assert self.cache.complete_fill(fill, entry(fill.key, version)) == kept
        if kept and fill.key == KEY:
            self.member = self.member._replace(fill=version)
            self.member = self.model("A's fill with version") or self.member
        elif kept:
            self.member = self.member._replace(making=version)
            self.member = self.model("A's rendition of version") or self.member

    @precondition(lambda self: self.fills)
    @rule(data=st.data())
    def fail_a_fill(self, data: st.DataObject) -> None:
        fill = self.fills.pop(data.draw(st.integers(0, len(self.fills) - 1)))
        self.cache.fail_fill(fill, OSError("the source is gone"))
        if fill is self.joinable[fill.key]:
            in_table = self.member
            self.member = in_table._replace(fill=NOTHING) if fill.key == KEY else in_table._replace(making=NOTHING)

    @rule()
    def be_told(self) -> None:
        self.cache.invalidate_keys(self.cache.incarnation, [KEY])
        self.member = RULES._told(self.member)

    @rule()
    def evict(self) -> None:
        self.cache.configure(0, "LRU")
        self.cache.configure(1_000_000, "LRU")
        self.member = self.model("A evicts version") or self.member
        self.member = self.model("A evicts a rendition") or self.member

    @invariant()
    def they_agree(self) -> None:
        found = self.cache.peek(KEY)
        assert isinstance(found, Refusal) != RULES.answers(A, self.member)
        held = self.cache._cache.peek(KEY)
        assert (held.version if held else NOTHING) == self.member.entry
        made = self.cache._cache.peek(THUMB)
        assert (made.version if made else NOTHING) == self.member.rendition
        assert (KEY in self.cache._fills) == (self.member.fill != NOTHING)
        assert (THUMB in self.cache._fills) == (self.member.making != NOTHING)
        taken = 0 if self.member.taken == NO_MAP else MAPS.epoch(self.member.taken)
        assert self.cache.epoch == taken


TestTheNodeOfTheModel = NodeMachine.TestCase
TestTheNodeOfTheModel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
