"""An HTTP answer as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from elastic_images.core.entry import Headers


class Answer(NamedTuple):
    """Status line, headers and body. The headers are shared: never change them."""

    status: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that may take many seconds: it is found on a thread that may wait so long."""

    find: Callable[[], Answer]
    urgent: bool
    """Not to wait behind those that are not."""


def answer_now(found: Answer | Later) -> Answer:
    """The answer, however long it takes."""
    return found if isinstance(found, Answer) else found.find()
