"""How an entry answers GET and HEAD: conditions and ranges by RFC 9110, sections 13 and 14."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from werkzeug.http import parse_date, parse_etags, parse_if_range_header, parse_range_header, unquote_etag

from elastic_images.core.entry import Entry, Headers
from elastic_images.http.answer import Answer

CONDITIONAL_HEADERS = (
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_RANGE",
    "HTTP_IF_RANGE",
    "HTTP_IF_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
)
"""Request headers that can lead to an answer other than the whole entry, as WSGI spells them."""

_OF_CONTENT = frozenset({"Content-Length", "Content-Type", "Accept-Ranges"})


def whole(entry: Entry, now: float) -> Answer:
    """The whole entry, at time `now` (seconds since the epoch)."""
    return Answer("200 OK", entry.headers_at(now), entry.body)


def is_conditional(environ: Mapping[str, object]) -> bool:
    """Whether a header makes the answer depend on more than the key."""
    return any(name in environ for name in CONDITIONAL_HEADERS)


def answer(entry: Entry, environ: Mapping[str, object], now: float) -> Answer:
    """The answer to the request in the WSGI environment; for HEAD it still has the body.

    Precedence follows RFC 9110, section 13.2.2. Several ranges get the whole entry, which section 14.2 allows.
    """
    if not is_conditional(environ):
        return whole(entry, now)
    settled = now >= entry.settled_at
    if not _still_matches(entry, environ, settled):
        return Answer("412 Precondition Failed", [*_without_content(entry, now), ("Content-Length", "0")], b"")
    if _client_has_it(entry, environ, settled):
        return Answer("304 Not Modified", _without_content(entry, now), b"")
    wanted = _text(environ, "HTTP_RANGE")
    if wanted is None or environ.get("REQUEST_METHOD") != "GET" or not _range_applies(entry, environ, settled):
        return whole(entry, now)
    return _ranged(entry, wanted, now)


def _text(environ: Mapping[str, object], name: str) -> str | None:
    value = environ.get(name)
    return value if isinstance(value, str) else None


def _date(environ: Mapping[str, object], name: str) -> datetime | None:
    try:
        return parse_date(_text(environ, name))
    except OverflowError:  # a year or time zone of twenty digits: invalid dates are ignored
        return None


def _still_matches(entry: Entry, environ: Mapping[str, object], settled: bool) -> bool:
    if (match := _text(environ, "HTTP_IF_MATCH")) is not None:
        tags = parse_etags(match)
        return tags.star_tag or tags.is_strong(_bare(entry))
    since = _date(environ, "HTTP_IF_UNMODIFIED_SINCE")
    return since is None or (settled and int(entry.updated_at) <= since.timestamp())


def _client_has_it(entry: Entry, environ: Mapping[str, object], settled: bool) -> bool:
    if (none_match := _text(environ, "HTTP_IF_NONE_MATCH")) is not None:
        tags = parse_etags(none_match)
        return tags.star_tag or tags.contains_weak(_bare(entry))
    since = _date(environ, "HTTP_IF_MODIFIED_SINCE")
    return since is not None and settled and int(entry.updated_at) <= since.timestamp()


def _range_applies(entry: Entry, environ: Mapping[str, object], settled: bool) -> bool:
    condition = _text(environ, "HTTP_IF_RANGE")
    if condition is None:
        return True
    try:
        parsed = parse_if_range_header(condition)
    except OverflowError:
        return False
    if parsed.date is not None:
        return settled and int(entry.updated_at) == parsed.date.timestamp()
    # Weak tags never match here (section 13.1.5).
    return not condition.startswith("W/") and parsed.etag == _bare(entry)


def _ranged(entry: Entry, wanted: str, now: float) -> Answer:
    size = len(entry.body)
    parsed = parse_range_header(wanted)
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return whole(entry, now)
    first, end = parsed.ranges[0]
    if first < 0:
        # Werkzeug calls a suffix longer than the whole unsatisfiable; it means the whole (section 14.1.2).
        first, end = max(size + first, 0), size
    start, stop = first, min(size if end is None else end, size)
    if start >= stop:
        empty = [("Content-Range", f"bytes */{size}"), ("Content-Length", "0")]
        return Answer("416 Range Not Satisfiable", [*_without_content(entry, now), *empty], b"")
    headers = [header for header in entry.headers_at(now) if header[0] != "Content-Length"]
    headers += [("Content-Length", str(stop - start)), ("Content-Range", f"bytes {start}-{stop - 1}/{size}")]
    return Answer("206 Partial Content", headers, entry.body[start:stop])


def _without_content(entry: Entry, now: float) -> Headers:
    return [header for header in entry.headers_at(now) if header[0] not in _OF_CONTENT]


def _bare(entry: Entry) -> str:
    return unquote_etag(entry.etag)[0] or ""
