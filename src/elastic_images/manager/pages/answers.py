"""How forms are answered: by a redirect to a page, with a note for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from flask import g, redirect, request
from werkzeug.wrappers import Response

from elastic_images.core.errors import ElasticImagesError
from elastic_images.manager.flash import Note, Notes


class Answers:
    """Redirects with notes, each for whoever made the request. Used within a request."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def tell(self, place: str, note: Note) -> Response:
        """Lead to the page at `place`, which tells `note` once."""
        return redirect(f"{place}?{urlencode({'note': self._notes.leave(_owner(), note)})}", 303)

    def carry_out(
        self,
        place: str,
        action: Callable[[], object],
        words: str,
        *,
        form: str = "",
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        """Do it, and tell `words` at `place`; where it is refused or fails, tell that."""
        try:
            action()
        except ElasticImagesError as error:
            return self.refuse(place, error, form=form, typed=typed)
        return self.tell(place, Note(words, form=form))

    def refuse(
        self, place: str, error: ElasticImagesError, *, form: str = "", typed: Mapping[str, str] | None = None
    ) -> Response:
        """Tell at `place` what is wrong, beside what was typed."""
        return self.tell(place, Note(str(error), "bad", form=form, typed=typed or {}))

    def taken(self) -> Note | None:
        """The note that this page was asked for with, once."""
        name = request.args.get("note", "")
        return self._notes.take(_owner(), name) if name else None


def _owner() -> str:
    session, principal = g.get("session"), g.get("principal")
    if session is not None:
        return f"session {session.id}"
    return f"{principal.via} {principal.user_id}" if principal is not None else ""
