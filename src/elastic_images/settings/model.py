"""The Settings object: the resolved value of every setting."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.redact import hide_password
from elastic_images.core.visibility import Visibility
from elastic_images.settings import kinds
from elastic_images.settings.addresses import BASE_PORTS, is_loopback, reachable_host
from elastic_images.settings.definitions import BY_NAME, PREFIX, SETTINGS
from elastic_images.settings.secret_files import read_or_make_secret, read_secret
from elastic_images.settings.sources import SOURCES_VARIABLE, resolve

DEFAULT_FILE = "elastic-images.toml"
_CONFIG_VARIABLE = PREFIX + "CONFIG"
_GENERATED_SECRETS = {"internal_token": "internal-token", "secret_key": "secret-key"}


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings, as described in `docs/settings.md`. Immutable. Its repr hides secrets."""

    data: Path
    object_store: str
    database: str
    metrics: str
    pool: str
    node_provider: str
    nodes: int
    anonymous: str
    default_visibility: Visibility
    admin_password: str | None
    port_offset: int
    host: str
    internal_host: str
    advertise: str | None
    allowed_hosts: tuple[str, ...]
    cors_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    storage_urls: tuple[str, ...]
    autoscaler_url: str
    web_processes: int
    storage_processes: int
    hang_seconds: float
    internal_token: str
    secret_key: str
    serve_stale: float
    retention_days: int
    max_image_bytes: int
    max_image_pixels: int
    max_frames: int
    max_animation_pixels: int
    strip_location: bool
    imaging_memory_mb: int
    renditions: str
    rendition_widths: tuple[int, ...]
    rendition_ratios: tuple[str, ...]
    rendition_qualities: tuple[int, ...]
    presets: tuple[str, ...]
    near_cache_mb: int
    cache_mb: int
    scaling_interval_seconds: float
    warm_bytes_per_second: int
    ready_shared_seconds: float
    reserve_bytes: int
    scrub_days: float
    session_hours: int
    imaging_socket: Path | None = None
    lifeline_fd: int | None = None
    """Read end of the supervisor's lifeline; pass it to every child process."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each setting came from: `flag`, `environment`, `file` or `default`."""

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Settings:
        """Resolve every setting.

        Args:
            flags: by setting name; None means not given.
            environ: defaults to the process's own.
            file: a TOML file, which must exist; defaults to the one that ELASTIC_IMAGES_CONFIG names, or to
                `elastic-images.toml` in the current folder, if it exists.

        Raises:
            InvalidRequest: the message names the setting and what is wrong with it.
        """
        environ = os.environ if environ is None else environ
        values, sources = resolve(flags or {}, environ, file or _file_of(environ))
        settings = cls(**values, sources=sources)
        settings._check_exposure()
        return settings._with_kept_secrets()

    def with_secrets(self) -> Settings:
        """These settings with the internal token and the secret key, generated in the data folder on first use.

        Raises:
            OSError: the data folder is not writable.
        """
        made: dict[str, Any] = {
            name: read_or_make_secret(self.data / file)
            for name, file in _GENERATED_SECRETS.items()
            if not getattr(self, name)
        }
        return replace(self, **made) if made else self

    def port(self, app: str, slot: int = 0) -> int:
        """The port of `web`, `storage`, `autoscaler` or `manager`, or of the `memcache` node in a slot."""
        return BASE_PORTS[app] + self.port_offset + slot

    def url(self, app: str) -> str:
        """The URL at which this machine reaches an app."""
        host = self.host if app in ("web", "manager") else self.internal_host
        return f"http://{reachable_host(host)}:{self.port(app)}"

    def to_environ(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment for a child process: `base` (default: this process's) plus these settings.

        It holds secrets, but not the administrator's password, which only the preparing process gets.
        """
        kept = {
            name: value for name, value in (os.environ if base is None else base).items() if not name.startswith(PREFIX)
        }
        mine = {
            setting.environment: kinds.as_text(getattr(self, setting.name))
            for setting in SETTINGS
            if setting.name != "admin_password" and getattr(self, setting.name) not in (None, "", ())
        }
        return kept | mine | {SOURCES_VARIABLE: json.dumps(dict(self.sources))}

    def public(self) -> dict[str, Any]:
        """What administrators may see: `{name: {"value", "source"}}`, with secrets as `set` or None."""
        return {
            setting.name: {"value": self._shown(setting.name), "source": self.sources.get(setting.name, "default")}
            for setting in SETTINGS
            if not setting.internal
        }

    def secret_values(self) -> list[str]:
        """Every secret that is set, for logs to hide."""
        return [value for setting in SETTINGS if setting.secret and (value := getattr(self, setting.name))]

    def warnings(self) -> tuple[str, ...]:
        """Warnings for the person who starts the system."""
        found = []
        if self.anonymous in ("write", "admin"):
            who = "this machine" if is_loopback(self.host) else f"every machine that reaches {self.host}"
            what = "upload and delete images" if self.anonymous == "write" else "do EVERYTHING, as an administrator"
            found.append(f"ELASTIC_IMAGES_ANONYMOUS={self.anonymous}: anyone on {who} may {what}, without a password.")
        if self.renditions == "any":
            found.append("ELASTIC_IMAGES_RENDITIONS=any: visitors may have images made in any number of sizes.")
        if self.sources.get("database") == "flag" and hide_password(self.database) != self.database:
            found.append(
                "The password in --database is visible to every user of this machine: set ELASTIC_IMAGES_DATABASE."
            )
        return tuple(found)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={entry['value']!r}" for name, entry in self.public().items())
        return f"Settings({shown})"

    def _shown(self, name: str) -> Any:
        value = getattr(self, name)
        if BY_NAME[name].secret:
            return "set" if value else None
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, tuple):
            return [hide_password(item) if isinstance(item, str) else item for item in value]
        return hide_password(value) if isinstance(value, str) else value

    def _check_exposure(self) -> None:
        by_hand = self.sources.get("host", "default") != "default"
        if self.anonymous in ("write", "admin") and not is_loopback(self.host) and not by_hand:
            raise InvalidRequest(
                f"ELASTIC_IMAGES_ANONYMOUS={self.anonymous} on {self.host} would open the system to other machines: "
                "if that is intended, set ELASTIC_IMAGES_HOST explicitly."
            )

    def _with_kept_secrets(self) -> Settings:
        """These settings with the secrets that the data folder already holds."""
        try:
            kept: dict[str, Any] = {
                name: read_secret(self.data / file) or ""
                for name, file in _GENERATED_SECRETS.items()
                if not getattr(self, name)
            }
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"A secret in {self.data} cannot be read: {error}") from error
        return replace(self, **kept) if kept else self


def forget_environment(environ: MutableMapping[str, str] | None = None) -> None:
    """Remove all settings from the environment once they are read, so that no dump of a WSGI environ shows them."""
    environ = os.environ if environ is None else environ
    for name in [name for name in environ if name.startswith(PREFIX)]:
        del environ[name]


def _file_of(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(_CONFIG_VARIABLE)
    if named:
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.is_file() else None
