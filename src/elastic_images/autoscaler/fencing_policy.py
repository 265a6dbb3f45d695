"""When a member that keeps the pool waiting is fenced (after 1 s) and given up as dead (3.5 s later)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from elastic_images.pool.view import DEAD_AFTER_SECONDS, FENCE_AFTER_SECONDS, FENCED, LIVE, Member

RETURN_SECONDS = 0.3
"""How long a member fenced by mistake has to register again with a new incarnation."""


@dataclass(frozen=True, slots=True)
class FencingDecision:
    """Members to fence, and members whose last lease has certainly expired."""

    fence: tuple[Member, ...] = ()
    dead: tuple[Member, ...] = ()


class FencingPolicy:
    """Tracks how long each member has kept the pool waiting. Not safe to share between threads.

    A clock that stops while the machine sleeps only makes it wait longer.
    """

    def __init__(
        self, *, patience_seconds: float = FENCE_AFTER_SECONDS, death_seconds: float = DEAD_AFTER_SECONDS
    ) -> None:
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
    ) -> FencingDecision:
        """Which members have run out of time at `now`.

        Args:
            members: all that are live or fenced.
            epoch: the epoch that a member must have named.
            must_name: the slots whose members the pool waits for.
            suspects: incarnations that do not respond at all; they are fenced whatever the map is.
            now: seconds, always by the same clock.
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
        return FencingDecision(
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
        """Incarnations that were fenced and had not come back at the last call of `judge`.

        Nothing reads from them any more. They may still hold a lease, so they stay in `copies` until they are dead.
        """
        return frozenset(
            incarnation for incarnation, since in self._fenced_since.items() if self._now - since >= RETURN_SECONDS
        )
