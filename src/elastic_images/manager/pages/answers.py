"""How forms are answered: by a redirect to a page, with a flash message for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from flask import g, redirect, request
from werkzeug.wrappers import Response

from elastic_images.core.errors import ElasticImagesError
from elastic_images.manager.flash import FlashMessage, FlashMessages


class Answers:
    """Redirects with flash messages for the one who made the request. Use it within a request."""

    def __init__(self, messages: FlashMessages) -> None:
        self._messages = messages

    def tell(self, place: str, message: FlashMessage) -> Response:
        """Redirect to the page at `place`, which shows `message` once."""
        return redirect(f"{place}?{urlencode({'note': self._messages.leave(_owner(), message)})}", 303)

    def carry_out(
        self,
        place: str,
        action: Callable[[], object],
        words: str,
        *,
        form: str = "",
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        """Run `action` and show `words` at `place`, or the error if it fails."""
        try:
            action()
        except ElasticImagesError as error:
            return self.refuse(place, error, form=form, typed=typed)
        return self.tell(place, FlashMessage(words, form=form))

    def refuse(
        self, place: str, error: ElasticImagesError, *, form: str = "", typed: Mapping[str, str] | None = None
    ) -> Response:
        """Show an error at `place`, and keep what was typed."""
        return self.tell(place, FlashMessage(str(error), "bad", form=form, typed=typed or {}))

    def taken(self) -> FlashMessage | None:
        """The message that this page was requested with, once."""
        name = request.args.get("note", "")
        return self._messages.take(_owner(), name) if name else None


def _owner() -> str:
    session, principal = g.get("session"), g.get("principal")
    if session is not None:
        return f"session {session.id}"
    return f"{principal.via} {principal.user_id}" if principal is not None else ""
