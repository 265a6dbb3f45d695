"""Answers to logins that were refused a moment ago: the page that Flask made then, without asking Flask again.

The front calls `answer` before a request takes a thread, so that a flood of wrong logins delays nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from markupsafe import escape
from werkzeug.wrappers import Response

from elastic_images.accounts.access import safe_next
from elastic_images.http.answer import Answer

_FORM_TYPE = "application/x-www-form-urlencoded"
_MAX_FORM_BYTES = 4096
_MAX_FIELDS = 10
_MAX_PAGES = 16
_OF_ONE_ANSWER = frozenset({"content-length", "retry-after", "set-cookie", "x-request-id"})

RetryAfter = Callable[[Mapping[str, Any], str], int | None]
"""After how many seconds who sends this WSGI request may log in to this account, if it was refused just now."""


class LoginRefusals:
    """Thread-safe. A page is a template for all: the name and the target that were typed are filled in."""

    def __init__(self, retry_after: RetryAfter, prefix_of: Callable[[Mapping[str, Any]], str | None]) -> None:
        """`prefix_of`: the path below which a proxy publishes the app (`proxies.Client`); None: leave it to Flask."""
        self._retry_after = retry_after
        self._prefix_of = prefix_of
        self._name, self._target = f"name-{secrets.token_hex(8)}", f"/{secrets.token_hex(8)}"
        self._pages: dict[tuple[str, bool], tuple[Response, str]] = {}

    def make(self, render: Callable[[str, str], str], name: str, target: str, prefix: str) -> Response:
        """The page for now, which is kept for later. `render` makes it of a name and a target."""
        page = render(self._name if name else "", self._target)
        response = Response(self._filled(page, name, target), content_type="text/html; charset=utf-8")
        # When it is closed, everybody has added their headers.
        response.call_on_close(lambda: self._keep((prefix, bool(name)), response, page))
        return response

    def answer(self, environ: Mapping[str, Any], form: bytes) -> Answer | None:
        """The answer to this login, if one like it was refused just now; else None."""
        if len(form) > _MAX_FORM_BYTES or not str(environ.get("HTTP_CONTENT_TYPE", "")).startswith(_FORM_TYPE):
            return None
        try:
            fields = parse_qsl(form.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
        except ValueError:
            return None
        given = dict(reversed(fields))  # the first of each
        name = given.get("name", "")
        prefix = self._prefix_of(environ)
        kept = None if prefix is None else self._pages.get((prefix, bool(name)))
        seconds = self._retry_after(environ, name) if kept is not None else None
        if kept is None or seconds is None:
            return None
        response, page = kept
        body = self._filled(page, name, safe_next(given.get("next"))).encode()
        headers = [(key, value) for key, value in response.headers if key.lower() not in _OF_ONE_ANSWER]
        headers += [("Content-Length", str(len(body))), ("Retry-After", str(seconds))]
        return Answer(response.status, headers, body)

    def _keep(self, kind: tuple[str, bool], response: Response, page: str) -> None:
        if kind in self._pages or len(self._pages) < _MAX_PAGES:
            self._pages[kind] = (response, page)

    def _filled(self, page: str, name: str, target: str) -> str:
        return page.replace(self._target, escape(target)).replace(self._name, escape(name))
