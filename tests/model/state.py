"""What the model sees of the system at one moment: a watched key, two nodes, a near cache, storage, the pool's rows.

The key has two names in caches: its original's, and that of one rendition. More of them would behave as that one.
Versions are numbers, 0 for what is there at the start; each write adds one. A version is an image and its visibility
(see `history`). Time is left out: what may happen at some time may happen at any time, but for the one thing that
leases promise (see `rules`).
"""

from __future__ import annotations

from typing import NamedTuple

A, B, NEAR = 0, 1, 2
NAMES = ("A", "B", "near")
NODES = (A, B)

NOTHING = -2
ASKED = -1
"""A fill that is registered and has not read its source yet."""

UP, CUT, LEAVING, DOWN = "up", "cut", "leaving", "down"
"""`cut`: reads reach it, polls and invalidations do not pass (SIGSTOP, a broken network). `leaving`: it stops, and no
longer polls; invalidations pass. `down`: no such process."""
LIVE, FENCED, DEAD = "live", "fenced", "dead"

NO_MAP = -1

BESIDE = 3
"""Added to the number of a member: a call that tells it of other keys than the watched one."""


class Member(NamedTuple):
    """A node or the near cache: its process, and the row about it in the database."""

    life: int = 0
    """The incarnation."""
    row: str = LIVE
    process: str = UP
    leased: bool = True
    taken: int = 0
    """The map that it obeys, by its number in `maps.Maps`; it has dropped what that takes from it, and named it."""
    entry: int = NOTHING
    """The version that it holds."""
    fill: int = NOTHING
    """The fill in its table: `NOTHING`, `ASKED`, or the version that came."""
    loose: int = NOTHING
    """Only under broken rules: bytes in hand that will be inserted, whatever happens meanwhile."""
    rendition: int = NOTHING
    """The version that its rendition was made of."""
    making: int = NOTHING
    """The rendition's fill, as `fill`: `ASKED` until it has its original, or the rendition from another cache."""
    loose_rendition: int = NOTHING
    """As `loose`."""
    spoiled: bool = False
    """Only where a broken rule leaves a spoiled fill in the table."""
    shown: int = NOTHING
    """Only under broken rules: the version whose visibility was looked up by itself."""


class View(NamedTuple):
    """What a writer read of the pool: the map, and incarnation and state of each member."""

    map: int
    rows: tuple[tuple[int, str], ...]


IDLE, COMMITTED, TELLING, DONE = "idle", "committed", "telling", "done"


class Writer(NamedTuple):
    """A write, and the storage process that works on it."""

    at: str = IDLE
    view: View | None = None
    told: frozenset[int] = frozenset()
    """The calls that were answered."""
    whole: bool = True
    """Only under a broken rule: not all keys of the change are known to who took it up."""


class World(NamedTuple):
    """Everything."""

    stored: int = 0
    """The version in the catalog."""
    acknowledged: int = 0
    """The newest version whose write was acknowledged: no read that starts now may show an older one."""
    map: int = 0
    members: tuple[Member, ...] = (Member(), Member(), Member())
    writers: tuple[Writer, ...] = (Writer(),)
    resizes_left: int = 1
    faults_left: int = 0
    snapshot: int = NOTHING
    """Only under a broken rule: what an old transaction of the database still shows."""
    saw: int = NOTHING
    """Only under a broken rule: the version in which a rename saw a row that it did not lock."""

    def view(self) -> View:
        """What somebody who reads the pool now sees."""
        return View(self.map, tuple((member.life, member.row) for member in self.members))
