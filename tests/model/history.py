"""What writes do to the catalog's rows, and what readers may be answered between two of them.

A world watches one key. What a member holds of one key never decides what happens to another (`test_conformance` says
the same of the real cache), so a rename is explored twice: once for the key that it takes an image from, and once for
the key that it gives it to. Their calls to members, their locks and their acknowledgement are of both keys always.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from elastic_images.core.image_facts import Actor
from elastic_images.core.visibility import Visibility, may_see

KEY = "k1"
NEIGHBOUR = "k28"
"""In the partition of `KEY`."""
STRANGER = "k2"
"""In another one."""

_OWNER = 1
_READERS = {
    "a visitor": None,
    "a member": Actor(user=2, name="member", admin=False),
    "the owner": Actor(user=_OWNER, name="owner", admin=False),
}
"""Administrators see what owners see."""


class Row(NamedTuple):
    """A key in the catalog: its version, which outlives its images, and the image that it has now."""

    version: int = 0
    image: str | None = None
    visibility: Visibility = "public"


class Write(NamedTuple):
    """One transaction."""

    kind: Literal["put", "delete", "show", "move"] = "put"
    key: str = KEY
    to: str | None = None
    """The new key of a move, which must have no image."""
    visibility: Visibility = "public"
    """What a put and a change of visibility ("show") set."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Whose rows it changes, in byte order."""
        return (self.key,) if self.to is None else tuple(sorted((self.key, self.to), key=str.encode))


class Answer(NamedTuple):
    """What somebody has on their screen after a read: an image, or None where there is none for them."""

    reader: str
    image: str | None

    def __str__(self) -> str:
        return f"{self.reader} gets {self.image or 'no image'}"


PUTS = (Write(),) * 9
FIRST = {KEY: Row(1, "the first image")}


class History:
    """The rows of the watched key after each of the writes, which commit in this order.

    A version is a number of writes: what they left. The later arguments break a rule each.
    """

    def __init__(
        self,
        writes: tuple[Write, ...] = PUTS,
        first: dict[str, Row] | None = None,
        *,
        watched: str = KEY,
        raised_above: frozenset[str] = frozenset({"key", "to"}),
        locked: frozenset[str] = frozenset({"key", "to"}),
        authorizes_first: bool = True,
    ) -> None:
        """`raised_above`: the keys of a move whose versions the new key's exceeds; `locked`: those that it locks.

        `authorizes_first`: before a request's conditions are judged.
        """
        self.writes = writes
        self.watched = watched
        self._first = FIRST if first is None else first
        self._raised_above = raised_above
        self._authorizes_first = authorizes_first
        self._unlocked = frozenset({"key", "to"}) - locked
        self.looks_first = bool(self._unlocked)
        """Whether a move looks at a row before it commits, and trusts what it saw."""
        self._meant = self._rows(None, raised_above=frozenset({"key", "to"}))
        self._kept: dict[int, list[dict[str, Row]]] = {}
        self._wrong: dict[tuple[int, int, int, int, int], str | None] = {}

    def latest(self, writes: int, saw: int = -1) -> int:
        """The version that the watched key has after so many writes: that of the last one that changed it."""
        rows = self._at(saw)
        while writes and rows[writes].get(self.watched) == rows[writes - 1].get(self.watched):
            writes -= 1
        return writes

    def has_image(self, version: int, saw: int = -1) -> bool:
        """Whether there is anything to keep."""
        return self._row(version, saw).image is not None

    def wrong(self, version: int, judged: int, acknowledged: int, stored: int, saw: int = -1) -> str | None:
        """What a reader would get and must not, of bytes of `version` under the visibility of the version `judged`.

        A read may answer what any version says from the acknowledged one to the stored one, if every write is one
        transaction. `judged` is negative where there is nothing to judge by. `saw` is what an unlocked row was seen at.
        """
        question = version, judged, acknowledged, stored, saw
        if question not in self._wrong:
            self._wrong[question] = self._judge(*question)
        return self._wrong[question]

    def harmless(self, writes: int) -> frozenset[int]:
        """The versions that can never be wrong, with so many writes, under their own visibility."""
        moments = [(low, high) for high in range(writes + 1) for low in range(high + 1)]
        saws = range(writes) if self.looks_first else (-1,)
        return frozenset(
            version
            for version in range(writes + 1)
            if not any(
                self.wrong(version, version, low, high, saw) for low, high in moments for saw in saws if high >= version
            )
        )

    def _judge(self, version: int, judged: int, acknowledged: int, stored: int, saw: int) -> str | None:
        allowed = {
            answer
            for rows in self._meant[acknowledged : stored + 1]
            for answer in _plain(rows.get(self.watched, Row()))
        }
        visibility = self._row(judged, saw).visibility if judged >= 0 else "public"
        for answer in self._answers(version, visibility, stored, saw):
            if answer not in allowed:
                return str(answer)
        return self._fallen(version, saw)

    def _answers(self, version: int, visibility: Visibility, stored: int, saw: int) -> Iterator[Answer]:
        """To requests without conditions and with them; parts of an image (206) are judged as all of it."""
        row = self._row(version, saw)
        yield from _plain(row, visibility)
        for reader, actor in _READERS.items():
            if not self._authorizes_first and row.image is not None:
                yield Answer(reader, row.image)  # who has these bytes from elsewhere learns that they are here (304)
            if row.image is None or not may_see(actor, visibility, _OWNER):
                continue
            for earlier in range(stored + 1):
                known = self._row(earlier, saw)
                seen = known.image is not None and may_see(actor, known.visibility, _OWNER)
                if seen and row.version <= known.version:
                    yield Answer(reader, known.image)  # not modified since: what the browser keeps is shown (304)

    def _fallen(self, version: int, saw: int) -> str | None:
        """A rename raises the image's version as well, so who follows it takes no change for an older one."""
        if not version or self.writes[version - 1].to != self.watched:
            return None
        before = self._at(saw)[version - 1][self.writes[version - 1].key].version
        after = self._row(version, saw).version
        return None if after > before else f"who follows the image from version {before} gets version {after}"

    def _row(self, version: int, saw: int) -> Row:
        return self._at(saw)[version].get(self.watched, Row())

    def _at(self, saw: int) -> list[dict[str, Row]]:
        if saw not in self._kept:
            self._kept[saw] = self._rows(saw if saw >= 0 else None, raised_above=self._raised_above)
        return self._kept[saw]

    def _rows(self, saw: int | None, *, raised_above: frozenset[str]) -> list[dict[str, Row]]:
        all_rows = [self._first]
        for number, write in enumerate(self.writes):
            rows = all_rows[-1]
            seen = rows if saw is None or saw > number else all_rows[saw]
            all_rows.append({**rows, **self._changed(write, number + 1, rows, seen, raised_above)})
        return all_rows

    def _changed(
        self, write: Write, number: int, rows: dict[str, Row], seen: dict[str, Row], raised_above: frozenset[str]
    ) -> dict[str, Row]:
        row = rows.get(write.key, Row())
        if write.kind == "put":
            return {write.key: Row(row.version + 1, f"image {number}", write.visibility)}
        if write.kind == "delete":
            return {write.key: Row(row.version + 1)}
        if write.kind == "show":
            return {write.key: row._replace(version=row.version + 1, visibility=write.visibility)}
        assert write.to is not None
        both = {"key": write.key, "to": write.to}
        looked = {name: (seen if name in self._unlocked else rows).get(key, Row()) for name, key in both.items()}
        if looked["key"].image is None or looked["to"].image is not None:
            return {}  # 404 or 409
        version = max(looked[name].version for name in raised_above) + 1
        return {write.key: Row(looked["key"].version + 1), write.to: looked["key"]._replace(version=version)}


def _plain(row: Row, visibility: Visibility | None = None) -> Iterator[Answer]:
    for reader, actor in _READERS.items():
        yield Answer(reader, row.image if may_see(actor, visibility or row.visibility, _OWNER) else None)
