"""The table of all settings. Flags, configuration files and documentation are derived from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from elastic_images.settings import kinds
from elastic_images.settings.addresses import BASE_PORTS, reachable_host

PREFIX = "ELASTIC_IMAGES_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is a value, or a function of the settings before it in the table."""

    name: str
    read: kinds.Reader
    default: Any
    meaning: str
    shown_default: str | None = None
    """How the documentation shows a default that depends on the machine or on other settings."""
    secret: bool = False
    """Never printed, and has no flag."""
    from_file: bool = False
    """May be read from the file named by `..._FILE`."""
    internal: bool = False
    """Set by the supervisor for its processes: no flag, not in the file, not documented."""

    @property
    def environment(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The command-line flag."""
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


# fmt: off
_WIDTHS = (
    16, 32, 48, 64, 96, 128, 160, 240, 256, 320, 384, 400, 480, 512, 640, 750, 768, 800, 828, 960, 1024, 1080, 1200,
    1280, 1536, 1600, 1920, 2048, 2560, 3840,
)
# fmt: on

SETTINGS: tuple[Setting, ...] = (
    Setting("data", kinds.path, lambda _: kinds.path("data"), "The data folder. A running system locks it.", "./data"),
    Setting(
        "object_store",
        kinds.url("file", "s3"),
        _in_data("{uri}/objects"),
        "Where images are stored: `file:///FOLDER` or `s3://BUCKET/PREFIX`.",
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
        "Where metrics are kept: `local` (by the autoscaler, in DATA) or `cloudwatch://NAMESPACE` (docs/aws.md).",
    ),
    Setting(
        "pool",
        kinds.name,
        "default",
        "The pool's name, which distinguishes systems that share an AWS account.",
    ),
    Setting(
        "node_provider",
        kinds.url("ec2", also=("local",)),
        "local",
        "Where cache nodes run: `local` (processes) or `ec2://?ami=...` (EC2 instances; docs/aws.md).",
    ),
    Setting("nodes", kinds.integer(1, 8), 1, "The initial size of the pool, until a pool map is stored."),
    Setting(
        "anonymous",
        kinds.choice("none", "read", "write", "admin"),
        "read",
        "What visitors without an account may do: `none`; `read` (view images); `write` (upload, list, delete); "
        "`admin` (everything; for demonstrations only).",
    ),
    Setting(
        "default_visibility",
        kinds.choice("public", "members", "private"),
        "public",
        "Who sees a new image, unless its upload says otherwise: `public` (everyone with its address), `members` (who "
        "is logged in, or has a token), `private` (its owner and administrators).",
    ),
    Setting(
        "admin_password",
        kinds.text,
        None,
        "The first administrator's password.",
        "generated and kept in `DATA/admin-password`",
        secret=True,
        from_file=True,
    ),
    Setting(
        "port_offset",
        kinds.integer(0, 990, step=10),
        0,
        "Added to every port, to run several systems on one machine: 100, 200 .. 900 (any multiple of 10).",
    ),
    Setting("host", kinds.text, "127.0.0.1", "The address that `web` and `manager` bind to."),
    Setting("internal_host", kinds.text, "127.0.0.1", "The address that the other apps bind to."),
    Setting("advertise", kinds.text, None, "The address at which other machines reach this one.", "the bound address"),
    Setting(
        "allowed_hosts",
        kinds.several(kinds.text),
        (),
        "Host names to accept besides this machine's own, separated by commas; `*` accepts all.",
        "none",
    ),
    Setting(
        "cors_origins",
        kinds.several(kinds.origin),
        (),
        "Origins of other sites, such as `https://app.example.com`, whose pages may call the API with a token, "
        "separated by commas; `*` means all.",
        "none",
    ),
    Setting(
        "trusted_proxies",
        kinds.several(kinds.text),
        (),
        "Addresses or networks of proxies whose `X-Forwarded-*` headers are trusted, separated by commas.",
        "none",
    ),
    Setting(
        "storage_urls",
        kinds.several(kinds.http_url),
        _storage_urls,
        "URLs of the storage apps, separated by commas.",
        "this machine's, `http://127.0.0.1:5001`",
    ),
    Setting(
        "autoscaler_url",
        kinds.http_url,
        _internal_url("autoscaler"),
        "URL of the autoscaler.",
        "this machine's, `http://127.0.0.1:5002`",
    ),
    Setting("web_processes", kinds.integer(1, 64), 1, "Number of `web` processes, which share the public port."),
    Setting("storage_processes", kinds.integer(1, 64), 1, "Number of `storage` processes, which share a port."),
    Setting(
        "hang_seconds",
        kinds.number(0, 3_600),
        20.0,
        "How long an app may give no sign of life while it computes nothing, until `up` replaces it, in seconds. A "
        "stopped one (SIGSTOP) is replaced after 5 s. 0: never.",
        "20",
    ),
    Setting(
        "internal_token",
        kinds.text,
        "",
        "The secret that authenticates calls between services.",
        "generated and kept in `DATA/internal-token`",
        secret=True,
        from_file=True,
    ),
    Setting(
        "secret_key",
        kinds.text,
        "",
        "The secret that signs cookies.",
        "generated and kept in `DATA/secret-key`",
        secret=True,
        from_file=True,
    ),
    Setting(
        "serve_stale",
        kinds.number(0, 86_400),
        0.0,
        "How long caches may keep answering, marked `X-Cache: STALE`, after losing the database, in seconds.",
        "0",
    ),
    Setting(
        "retention_days",
        kinds.integer(0, 3_650),
        7,
        "How long deleted and replaced images stay in the trash, in days; 0: for five minutes.",
    ),
    Setting("max_image_bytes", kinds.integer(1, 1_000_000_000), 25_000_000, "The largest upload, in bytes."),
    Setting(
        "max_image_pixels",
        kinds.integer(1, 1_000_000_000),
        100_000_000,
        "The largest image, in pixels; of an animation or a file with pages, its largest frame.",
    ),
    Setting("max_frames", kinds.integer(1, 100_000), 2_000, "The most frames or pages in an image."),
    Setting(
        "max_animation_pixels",
        kinds.integer(1, 100_000_000_000),
        1_000_000_000,
        "The largest animation, in pixels over all frames.",
    ),
    Setting(
        "strip_location",
        kinds.switch,
        default=False,
        meaning="Whether to remove from uploads what says where a picture was taken: on or off.",
    ),
    Setting(
        "imaging_memory_mb",
        kinds.integer(64, 1_000_000),
        512,
        "Memory for all images that are being decoded on this machine at a time, in megabytes. It also bounds what one "
        "image may take.",
    ),
    Setting(
        "renditions",
        kinds.choice("bounded", "any"),
        "bounded",
        "Which renditions visitors may ask for: `bounded` (presets, and the sizes and qualities below) or `any`. API "
        "tokens may ask for any.",
    ),
    Setting(
        "rendition_widths",
        kinds.some(kinds.integer(1, 8192)),
        _WIDTHS,
        "Widths that visitors may ask for, before `dpr`; also heights, where no width is asked for.",
    ),
    Setting(
        "rendition_ratios",
        kinds.some(kinds.ratio),
        ("1:1", "4:3", "3:2", "16:9", "3:4", "2:3", "9:16"),
        "Ratios of width and height that visitors may ask for.",
    ),
    Setting(
        "rendition_qualities",
        kinds.some(kinds.integer(1, 100)),
        (50, 60, 75, 80, 85, 90),
        "Qualities that visitors may ask for.",
    ),
    Setting(
        "presets",
        kinds.several(kinds.preset),
        (),
        "Renditions with a name, separated by commas: `card=w=400&h=300&fit=cover`. `thumb`, `preview` and `og` always "
        "exist.",
        "none",
    ),
    Setting(
        "near_cache_mb",
        kinds.integer(0, 65_536),
        64,
        "Size of the near cache in each `web` process, in megabytes; 0 disables it.",
    ),
    Setting(
        "cache_mb",
        kinds.integer(1, 65_536),
        64,
        "The initial capacity of each cache node, in megabytes, until a configuration is stored.",
    ),
    Setting(
        "scaling_interval_seconds",
        kinds.number(1, 3_600),
        60.0,
        "How often automatic mode decides, in seconds. It uses the miss rate of that time, and of at least 15 s.",
        "60",
    ),
    Setting(
        "warm_bytes_per_second",
        kinds.integer(0, 10**12),
        8_000_000,
        "How fast a node copies the images that a resize assigns to it, in bytes per second; 0 fetches them only on "
        "request.",
    ),
    Setting(
        "ready_shared_seconds",
        kinds.number(0, 86_400),
        300.0,
        "How long the database, the object store or another process may be in trouble before `/readyz` answers 503, in "
        "seconds.",
        "300",
    ),
    Setting(
        "reserve_bytes",
        kinds.integer(0, 10**15),
        500_000_000,
        "Free space below which uploads are refused, in bytes, so that the database can always commit; on a disk "
        "smaller than 50 GB, 1 % of it.",
    ),
    Setting(
        "scrub_days",
        kinds.number(0, 3_650),
        30.0,
        "How many days the scrubber has to read every stored object once and verify it. 0: only on request.",
        "30",
    ),
    Setting("session_hours", kinds.integer(1, 8_760), 168, "How long a login lasts, in hours."),
    Setting(
        "imaging_socket",
        kinds.path,
        None,
        "The socket of the imaging broker that `elastic-images imaging` runs; `up` sets it. Without it, an app that "
        "needs a broker starts one of its own.",
        "none",
    ),
    Setting("lifeline_fd", kinds.integer(0, 1_000_000), None, "The supervisor's lifeline.", internal=True),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
