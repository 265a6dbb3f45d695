"""What web answers on the front's thread (`front.reads.Reads`)."""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.front.reads import Environ, Question, Verdict, Whole
from elastic_images.http.answer import Answer
from elastic_images.http.serving import answer, is_conditional
from elastic_images.metrics.counters import Counters
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.plane import IMAGES, ImagePlane
from elastic_images.web.reads.relay import Relays


class WebReads:
    """The near cache at once, the owner node by a question, and the data plane for all that takes longer."""

    prefixes = (IMAGES.encode(),)

    def __init__(
        self,
        plane: ImagePlane,
        near: NearCache | None,
        relays: Relays,
        counters: Counters,
        may_answer: Callable[[Environ], bool],
    ) -> None:
        """`may_answer`: whether nobody needs to be known, and the Host is ours."""
        self._near_hit = near.cache.hit if near is not None else lambda _name: None
        self._count_hit = counters.counter("hits").increment
        self._may_answer = may_answer
        self.question: Callable[[str], Question | None] = relays.begin
        self.respond = plane.respond

    def judge(self, environ: Environ) -> Verdict:
        """See `front.reads.Reads`."""
        if not self._may_answer(environ):
            return Verdict.PASS_ON
        return Verdict.CONDITIONAL if is_conditional(environ) else Verdict.WHOLE

    def hit(self, name: str, environ: Environ, now: float) -> Whole | None:  # noqa: ARG002 - the fields were judged
        """See `front.reads.Reads`. What is in memory under a name is a key, so that it need not be checked."""
        entry = self._near_hit(name)
        if entry is None:
            return None
        self._count_hit()
        return entry.head_at(now), entry.body

    def from_memory(self, name: str, environ: Environ, now: float) -> Answer | None:
        """See `front.reads.Reads`."""
        entry = self._near_hit(name)
        if entry is None:
            return None
        self._count_hit()
        return answer(entry, environ, now)
