"""A proxy of the environment that cannot be used: which variable names it, and what to do."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

PROXY_ERROR = "ProxyConnectionError"
_VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
_METADATA_HOST = "169.254.169.254"


def code_of(error: Exception) -> str:
    """The code for an error of the library: its name. For a proxy, also its variable and place, without password."""
    name = type(error).__name__
    if name != PROXY_ERROR:
        return name
    place = _place(getattr(error, "kwargs", {}).get("proxy_url", ""))
    variables = [one for one in _VARIABLES if _place(os.environ.get(one, "")) == place]
    return f"{name}: {' and '.join(variables) or 'proxy'}={place}"


def dead_proxy(code: str) -> str | None:
    """What a code of `code_of` means, as the end of a sentence that starts with the service; None for other codes."""
    name, _, proxy = code.partition(": ")
    if name != PROXY_ERROR:
        return None
    return (
        f"cannot be reached, because the proxy of {proxy} does not answer or refuses ({name}): correct or unset this "
        "variable, or add the service's host to NO_PROXY"
    )


def proxy_hides_role() -> bool:
    """Whether the question for the machine's role goes to a proxy, which cannot answer it."""
    return "http" in getproxies() and not proxy_bypass(_METADATA_HOST)


def _place(url: str) -> str:
    """The host and port of a proxy, which may be given without a scheme."""
    return urlsplit(url if "://" in url else f"http://{url.lstrip('/')}").netloc.rpartition("@")[2]
