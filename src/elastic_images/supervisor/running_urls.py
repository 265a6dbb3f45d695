"""Where the system on a data folder is: a file there that `up` writes, for the command line on the same machine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from elastic_images.settings import Settings

_FILE = "run/urls.json"
_APPS = ("web", "manager")


@contextlib.contextmanager
def kept_urls(settings: Settings) -> Iterator[None]:
    """Say where web and the manager are while the block runs. After a crash the file stays, and is wrong."""
    file = settings.data / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({app: settings.url(app) for app in _APPS}) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def url_of(settings: Settings, app: str) -> str:
    """Where `web` or `manager` is: as the settings say where they say it, else where the data folder says, else usual.

    A port or host that was chosen for `up` alone need not be repeated for each command this way.
    """
    chosen = any(settings.sources.get(name, "default") != "default" for name in ("port_offset", "host"))
    if not chosen:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((settings.data / _FILE).read_text(encoding="utf-8"))
            if isinstance(found, dict) and isinstance(found.get(app), str):
                return str(found[app])
    return settings.url(app)
