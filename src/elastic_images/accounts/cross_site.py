"""The cross-site rule: pages of other sites may not change anything here, in any mode. Pure.

Browsers name a request's source in `Sec-Fetch-Site` (for https and localhost) and in `Origin` (for everything except
GET and HEAD, in all browsers since 2020). Another port on this host is another origin and is refused too. A request
with neither header comes from a program or an older browser: programs may pass, but a session cookie alone is not
enough (see `needs_form_token`). A request with a token or an upload link is not asked: no browser adds these by itself.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from elastic_images.accounts.access import SAFE_METHODS
from elastic_images.accounts.hosts import parse_address, split_host
from elastic_images.core.errors import CrossSite

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_cross_site(method: str, *, host: str | None, origin: str | None, fetch_site: str | None) -> None:
    """Return if the request changes nothing, or comes from our own pages, a program, or direct navigation.

    Args:
        method: the HTTP method.
        host: the client's `Host`, as `Proxies` reports it.
        origin: the `Origin` header.
        fetch_site: the `Sec-Fetch-Site` header.

    Raises:
        CrossSite: it comes from another site.
    """
    if method in SAFE_METHODS:
        return
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        raise CrossSite("Pages of other sites may not make changes here.")
    if origin is not None and not is_same_origin(origin, host):
        raise CrossSite("The request's Origin is not this site. If you use a proxy, make it forward the Host header.")


def is_same_origin(origin: str, host: str | None) -> bool:
    """Whether the origin matches the host and port of the `Host` header.

    A `Host` without a port gets the default port of the origin's scheme: behind a proxy that terminates TLS, the
    browser's scheme is unknown.
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
    """Whether only the session's form token can show that a request comes from our pages."""
    return via_session and method not in SAFE_METHODS and origin is None and fetch_site is None


def _same_name(one: str, other: str) -> bool:
    return one == other or (parse_address(one) is not None and parse_address(one) == parse_address(other))
