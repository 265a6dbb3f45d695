"""The table of all settings: name, kind, default and meaning of each. Flags, files and documentation follow it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from elastic_images.settings import kinds
from elastic_images.settings.addresses import BASE_PORTS, reachable_host

PREFIX = "ELASTIC_IMAGES_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is its value, or a function of the settings before it in the table."""

    name: str
    read: kinds.Reader
    default: Any
    meaning: str
    shown_default: str | None = None
    """How documentation writes the default, where it depends on the machine or on other settings."""
    secret: bool = False
    """Never printed, and no flag takes it."""
    from_file: bool = False
    """`..._FILE` may name a file that holds it."""
    internal: bool = False
    """Set by the supervisor for its processes; no flag, no place in the file, not documented."""

    @property
    def environment(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.name.replace("_", "-")

    def default_for(self, values: Mapping[str, Any]) -> Any:
        """The default, given the settings before it."""
        return self.default(values) if callable(self.default) else self.default


def _in_data(template: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda values: template.format(uri=values["data"].as_uri(), path=values["data"])


def _internal_url(app: str) -> Callable[[Mapping[str, Any]], str]:
    def address(values: Mapping[str, Any]) -> str:
        return f"http://{reachable_host(values['internal_host'])}:{BASE_PORTS[app] + values['port_offset']}"

    return address


def _storage_urls(values: Mapping[str, Any]) -> tuple[str, ...]:
    return (_internal_url("storage")(values),)


def _max_decodes(_: Mapping[str, Any]) -> int:
    return 2 * (os.cpu_count() or 1)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data", kinds.path, lambda _: kinds.path("data"), "The data folder; locked while a system runs on it.", "./data"
    ),
    Setting(
        "object_store",
        kinds.url("file", "s3"),
        _in_data("{uri}/objects"),
        "Where the image bytes are: `file:///FOLDER` or `s3://BUCKET/PREFIX`.",
        "the folder `objects` in DATA",
    ),
    Setting(
        "database",
        kinds.url("sqlite", "mysql", "mariadb", "postgres", "postgresql"),
        _in_data("sqlite:///{path}/elastic-images.db"),
        "A SQLAlchemy URL: SQLite, MySQL, MariaDB or PostgreSQL.",
        "the file `elastic-images.db` in DATA (SQLite)",
        from_file=True,
    ),
    Setting(
        "metrics",
        kinds.url("cloudwatch", also=("local",)),
        "local",
        "Where figures are kept: `local` (by the autoscaler, in DATA) or `cloudwatch://NAMESPACE` (docs/aws.md).",
    ),
    Setting(
        "pool",
        kinds.name,
        "default",
        "The name of this system's pool, by which systems in one AWS account are told apart.",
    ),
    Setting(
        "node_provider",
        kinds.url("ec2", also=("local",)),
        "local",
        "What a cache node is: `local` (a process) or `ec2://?ami=...` (an instance; docs/aws.md).",
    ),
    Setting("nodes", kinds.integer(1, 8), 1, "The first size of the pool; used only while no pool map is kept."),
    Setting(
        "anonymous",
        kinds.choice("none", "read", "write", "admin"),
        "read",
        "What a visitor without an account may do: `none`; `read` (get images); `write` (upload, list, delete); "
        "`admin` (everything: for demonstrations only).",
    ),
    Setting(
        "admin_password",
        kinds.text,
        None,
        "The first administrator's password.",
        "generated, kept in `DATA/admin-password`",
        secret=True,
        from_file=True,
    ),
    Setting(
        "port_offset",
        kinds.integer(0, 990, step=10),
        0,
        "Added to every port, so that systems run side by side: 100, 200 .. 900 (any multiple of 10).",
    ),
    Setting("host", kinds.text, "127.0.0.1", "The address that `web` and `manager` bind to."),
    Setting("internal_host", kinds.text, "127.0.0.1", "The address that the other apps bind to."),
    Setting("advertise", kinds.text, None, "The address of this machine that other machines use.", "the bound address"),
    Setting(
        "allowed_hosts",
        kinds.several(kinds.text),
        (),
        "Names that a request's `Host` may have, beside this machine's own, between commas; `*` allows all.",
        "none",
    ),
    Setting(
        "trusted_proxies",
        kinds.several(kinds.text),
        (),
        "Addresses or networks of proxies whose `X-Forwarded-*` headers are believed, between commas.",
        "none",
    ),
    Setting(
        "storage_urls",
        kinds.several(kinds.http_url),
        _storage_urls,
        "The storage apps, between commas.",
        "this machine's, `http://127.0.0.1:5001`",
    ),
    Setting(
        "autoscaler_url",
        kinds.http_url,
        _internal_url("autoscaler"),
        "The autoscaler.",
        "this machine's, `http://127.0.0.1:5002`",
    ),
    Setting("web_processes", kinds.integer(1, 64), 1, "How many `web` processes share the public port."),
    Setting("storage_processes", kinds.integer(1, 64), 1, "How many `storage` processes share their port."),
    Setting(
        "internal_token",
        kinds.text,
        "",
        "The secret that calls between services carry.",
        "generated, kept in `DATA/internal-token`",
        secret=True,
        from_file=True,
    ),
    Setting(
        "secret_key",
        kinds.text,
        "",
        "The secret that signs what browsers keep.",
        "generated, kept in `DATA/secret-key`",
        secret=True,
        from_file=True,
    ),
    Setting(
        "serve_stale",
        kinds.number(0, 86_400),
        0.0,
        "Seconds for which caches may answer, marked `X-Cache: STALE`, after the database was last heard of.",
        "0",
    ),
    Setting("max_image_bytes", kinds.integer(1, 1_000_000_000), 25_000_000, "The largest upload, in bytes."),
    Setting(
        "max_image_pixels", kinds.integer(1, 1_000_000_000), 50_000_000, "The most pixels of an image, over all frames."
    ),
    Setting(
        "max_decodes",
        kinds.integer(1, 256),
        _max_decodes,
        "How many images a storage process checks at a time.",
        "2 for each core",
    ),
    Setting(
        "near_cache_mb",
        kinds.integer(0, 65_536),
        64,
        "Megabytes of the hottest images that each `web` process keeps; 0: none.",
    ),
    Setting(
        "cache_mb",
        kinds.integer(1, 65_536),
        64,
        "The first capacity of each cache node in megabytes; used only while no configuration is kept.",
    ),
    Setting(
        "scaling_interval_seconds",
        kinds.number(1, 3_600),
        60.0,
        "How often automatic mode takes a decision, and over how many seconds (15 at least) it looks at the miss rate.",
        "60",
    ),
    Setting(
        "warm_bytes_per_second",
        kinds.integer(0, 10**12),
        8_000_000,
        "How fast each node copies the images that a resize brings to it, in bytes a second; 0: not at all, they are "
        "fetched when they are asked for.",
    ),
    Setting("session_hours", kinds.integer(1, 8_760), 168, "Hours after which a login ends."),
    Setting("lifeline_fd", kinds.integer(0, 1_000_000), None, "The supervisor's lifeline.", internal=True),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
