"""What a request for `/images/<key>` names: a key, or a rendition of it."""

from __future__ import annotations

from urllib.parse import parse_qs

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.renditions import preset, rendition_name
from elastic_images.front.reads import Environ
from elastic_images.web.request_path import key_in_path

IMAGES = "/images/"
_PARAMETERS = 20


def requested_name(environ: Environ) -> str:
    """The name that caches use for it (`core.renditions`). Raises InvalidKey, InvalidRequest."""
    key = key_in_path(environ, IMAGES)
    query = environ.get("QUERY_STRING")
    rendition = _rendition(query) if query else None
    return key if rendition is None else rendition_name(key, preset(rendition))


def _rendition(query: str) -> str | None:
    """The rendition that a query string asks for; all other parameters are ignored.

    Raises InvalidRequest if there are more than 20.
    """
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=_PARAMETERS).get("rendition")
    except ValueError:
        raise InvalidRequest(f"A query may have at most {_PARAMETERS} parameters.") from None
    return given[-1] if given else None
