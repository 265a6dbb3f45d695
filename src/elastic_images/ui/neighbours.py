"""Where a browser finds the other app: on the host that it named for this one, at the other port. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit


def neighbour_url(scheme: str, host: str | None, port: int) -> str | None:
    """The address of the app at `port`, where this one was reached as `host` (a `Host` header); None for no host."""
    try:
        name = urlsplit(f"//{host or ''}").hostname
    except ValueError:
        return None
    if not name:
        return None
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/"
