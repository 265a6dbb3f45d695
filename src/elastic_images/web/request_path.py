"""The key in a request's path, taken from the path as it was sent, not from the router.

Werkzeug would merge slashes, redirect, and replace what is no UTF-8; a key is exact. WSGI (PEP 3333) hands over the
path with its percent-encoding undone and its bytes as Latin-1 characters, so `%2F` and `/` are the same here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.routing import BaseConverter

from elastic_images.core.errors import InvalidKey
from elastic_images.core.keys import check_key


class RestConverter(BaseConverter):
    """Matches the whole rest of a path, whatever is in it: `<rest:...>`. Its value is not to be used."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 1000


def key_in_path(environ: Mapping[str, Any], prefix: str, *, trailing_slash: bool = False) -> str:
    """The key behind `prefix` in the request's path.

    Args:
        environ: the WSGI environment.
        prefix: what stands before the key, its last slash included; the path begins with it.
        trailing_slash: whether one slash behind the key is allowed (and ignored: no key ends with one).

    Raises:
        InvalidKey: the rest is no key, or no UTF-8.
    """
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        raise InvalidKey("A key in a path is percent-encoded UTF-8.") from None
    text = path.removeprefix(prefix)
    if trailing_slash:
        text = text.removesuffix("/")
    return check_key(text)
