"""How long a member may keep the pool waiting: it is fenced after 1 s, and dead 3.5 s after it was seen fenced."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from elastic_images.pool.view import DEATH_SECONDS, FENCED, LIVE, PATIENCE_SECONDS, Member

RETURN_SECONDS = 0.3
"""How long a fenced member has for coming back in a new life, as one does that was fenced by mistake."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Members to fence, and members whose last lease is over for certain."""

    fence: tuple[Member, ...] = ()
    dead: tuple[Member, ...] = ()


class FencingPolicy:
    """Remembers since when each member keeps the pool waiting, by one clock. Not safe to share between threads.

    A clock that stands still while the machine sleeps only makes it wait longer.
    """

    def __init__(self, *, patience_seconds: float = PATIENCE_SECONDS, death_seconds: float = DEATH_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._death_seconds = death_seconds
        self._waiting_since: dict[tuple[str, int], float] = {}
        self._fenced_since: dict[str, float] = {}
        self._now = 0.0

    def judge(
        self,
        members: Iterable[Member],
        *,
        epoch: int,
        must_name: Collection[int],
        suspects: Collection[str],
        now: float,
    ) -> Verdict:
        """Whose time is over at `now`.

        Args:
            members: all that are live or fenced.
            epoch: what a member must have named, or be dead.
            must_name: the slots whose members the pool waits for.
            suspects: incarnations that do not answer at all, fenced whatever the map is.
            now: seconds, by the one clock.
        """
        members = tuple(members)
        late = [member for member in members if member.slot in must_name and member.epoch < epoch]
        live_late = [member for member in late if member.state == LIVE]
        fenced = [member for member in members if member.state == FENCED and member.slot is not None]
        self._waiting_since = {
            (member.incarnation, epoch): self._waiting_since.get((member.incarnation, epoch), now)
            for member in live_late
        }
        self._fenced_since = {member.incarnation: self._fenced_since.get(member.incarnation, now) for member in fenced}
        self._now = now
        overdue = {
            incarnation
            for (incarnation, _), since in self._waiting_since.items()
            if now - since >= self._patience_seconds
        }
        return Verdict(
            fence=tuple(
                member
                for member in members
                if member.state == LIVE and (member.incarnation in overdue or member.incarnation in suspects)
            ),
            dead=tuple(
                member for member in fenced if now - self._fenced_since[member.incarnation] >= self._death_seconds
            ),
        )

    def gone(self) -> frozenset[str]:
        """Incarnations that were fenced and did not come back, when `judge` was last asked.

        Nobody reads from them any more. They may still have a lease, and stay in `copies` until they are dead.
        """
        return frozenset(
            incarnation for incarnation, since in self._fenced_since.items() if self._now - since >= RETURN_SECONDS
        )
