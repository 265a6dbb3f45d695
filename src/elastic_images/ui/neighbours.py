"""The URL of the other app: same host name, other port. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit


def neighbour_url(scheme: str, host: str | None, port: int) -> str | None:
    """The URL of the app at `port` on the host in `host` (a `Host` header); None if there is no host."""
    try:
        name = urlsplit(f"//{host or ''}").hostname
    except ValueError:
        return None
    if not name:
        return None
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/"
