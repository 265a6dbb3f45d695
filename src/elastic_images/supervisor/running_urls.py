"""The URLs of the running system, in a file that `up` writes for commands on the same machine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from elastic_images.settings import Settings

_FILE = "run/urls.json"
_APPS = ("web", "manager")


@contextlib.contextmanager
def kept_urls(settings: Settings) -> Iterator[None]:
    """Keep the URLs of web and manager in the file while the block runs. After a crash a stale file remains."""
    file = settings.data / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({app: settings.url(app) for app in _APPS}) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def url_of(settings: Settings, app: str) -> str:
    """The URL of `web` or `manager`: from explicit settings, else from the data folder, else the default.

    So a port or host chosen for `up` need not be repeated for every command.
    """
    chosen = any(settings.sources.get(name, "default") != "default" for name in ("port_offset", "host"))
    if not chosen:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((settings.data / _FILE).read_text(encoding="utf-8"))
            if isinstance(found, dict) and isinstance(found.get(app), str):
                return str(found[app])
    return settings.url(app)
