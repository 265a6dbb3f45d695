"""The key in a request's path, read from the WSGI path instead of the router.

Werkzeug's router merges slashes, redirects, and replaces invalid UTF-8; keys are exact. WSGI (PEP 3333) decodes
percent-encoding into Latin-1 characters, so `%2F` and `/` are the same here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.routing import BaseConverter

from elastic_images.core.errors import InvalidKey
from elastic_images.core.keys import check_key

IMAGES = "/images/"
"""The path before the key of an image."""


class RestConverter(BaseConverter):
    """Matches the rest of a path, whatever it contains: `<rest:...>`. Ignore its value; use `key_in_path`."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 1000


def key_in_path(environ: Mapping[str, Any], prefix: str, *, trailing_slash: bool = False) -> str:
    """The key after `prefix` in the request's path.

    Args:
        environ: the WSGI environment.
        prefix: the path before the key, including its last slash.
        trailing_slash: ignore one slash after the key (no key ends with one).

    Raises:
        InvalidKey: the rest is not a valid key, or not UTF-8.
    """
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        raise InvalidKey("The key in the path must be percent-encoded UTF-8.") from None
    text = path.removeprefix(prefix)
    if trailing_slash:
        text = text.removesuffix("/")
    return check_key(text)
