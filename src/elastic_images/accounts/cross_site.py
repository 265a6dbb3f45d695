"""The cross-site rule: no page of another site changes anything here, in any mode. Pure.

A browser says where a request comes from in `Sec-Fetch-Site` (to https and localhost) and in `Origin` (with everything
but GET and HEAD, in every browser since 2020). Another port of this host is another origin, and refused too: whoever
serves pages there is not us. Who sends neither header is a program, or a browser older than that; a program is let
pass, a session's cookie alone is not (see `needs_form_token`).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from elastic_images.accounts.access import SAFE_METHODS
from elastic_images.accounts.hosts import parse_address, split_host
from elastic_images.core.errors import CrossSite

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_cross_site(method: str, *, host: str | None, origin: str | None, fetch_site: str | None) -> None:
    """Let a request pass that changes nothing or comes from our own pages, a program, or the person himself.

    Args:
        method: the HTTP method.
        host: the `Host` the client named, as `TRUSTED_PROXIES` lets it be known.
        origin: the `Origin` header.
        fetch_site: the `Sec-Fetch-Site` header.

    Raises:
        CrossSite: it does not.
    """
    if method in SAFE_METHODS:
        return
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        raise CrossSite("A page of another site may not change anything here.")
    if origin is not None and not is_same_origin(origin, host):
        raise CrossSite("The request's Origin is not this site. Behind a proxy, pass the Host header on.")


def is_same_origin(origin: str, host: str | None) -> bool:
    """Whether the origin's host and port are those of the `Host` header.

    A `Host` without a port has the default port of the origin's scheme: behind a proxy that ends TLS we cannot know
    which scheme the browser used.
    """
    wanted = split_host(host or "")
    try:
        parts = urlsplit(origin)
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if wanted is None or not name or default is None:
        return False
    return _same_name(name.removesuffix("."), wanted[0]) and (port or default) == (wanted[1] or default)


def needs_form_token(method: str, *, via_session: bool, origin: str | None, fetch_site: str | None) -> bool:
    """Whether a request needs the session's form token, for want of anything else that says where it comes from."""
    return via_session and method not in SAFE_METHODS and origin is None and fetch_site is None


def _same_name(one: str, other: str) -> bool:
    return one == other or (parse_address(one) is not None and parse_address(one) == parse_address(other))
