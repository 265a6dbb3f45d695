"""Renders the script that makes an instance a node at its first start. Pure, apart from reading the template."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlsplit

from elastic_images import __version__
from elastic_images.autoscaler.nodes.ec2.setting import Ec2Setting
from elastic_images.core.errors import InvalidRequest
from elastic_images.settings import Settings
from elastic_images.settings.addresses import is_loopback, reachable_host

MAX_BYTES = 16_384
"""EC2's limit."""
NODE_DATA = "/var/lib/elastic-images"
_PASSED_ON = ("metrics", "pool", "port_offset", "cache_mb", "warm_bytes_per_second", "serve_stale")


@dataclass(frozen=True, slots=True)
class Boot:
    """What all nodes of a pool share at their start. It contains no secret."""

    region: str
    packages: str
    secret: str
    requirement: str
    watched: tuple[str, ...]
    """Storage and the autoscaler: a node shuts down if they stay silent for long."""
    environment: Mapping[str, str]

    def user_data(self, slot: int) -> str:
        """The script for the node in `slot`."""
        values = {
            "region": self.region,
            "version": __version__,
            "packages": self.packages,
            "requirement": self.requirement,
            "secret": self.secret,
            "watched": " ".join(self.watched),
        }
        script = (resources.files(__package__) / "templates" / "user_data.sh").read_text(encoding="utf-8")
        filled = {
            "# {{values}}": "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items()),
            "{{environment}}": "\n".join(f"{name}={value}" for name, value in self.environment.items()),
            "{{slot}}": str(slot),
        }
        for place, text in filled.items():
            script = script.replace(place, text)
        return script


def boot_for(setting: Ec2Setting, settings: Settings, region: str) -> Boot:
    """The `Boot` of a pool.

    Raises:
        InvalidRequest: the nodes could not reach this machine.
    """
    storage_urls = tuple(_seen_from_elsewhere(url, settings, "STORAGE_URLS") for url in settings.storage_urls)
    autoscaler_url = _seen_from_elsewhere(settings.autoscaler_url, settings, "AUTOSCALER_URL")
    kept = {name: getattr(settings, name) for name in _PASSED_ON}
    environment = {
        "DATA": NODE_DATA,
        "INTERNAL_HOST": "0.0.0.0",
        "STORAGE_URLS": ",".join(storage_urls),
        "AUTOSCALER_URL": autoscaler_url,
        **{name.upper(): str(value) for name, value in kept.items()},
    }
    for name, value in environment.items():
        if not value.isprintable() or not value.isascii() or set(value) & set("$`\\\"' "):
            raise InvalidRequest(f"ELASTIC_IMAGES_{name}={value!r} cannot be passed to nodes on EC2.")
    extra = "[aws]" if settings.metrics.startswith("cloudwatch") else ""
    return Boot(
        region=region,
        packages=setting.packages,
        secret=setting.secret,
        requirement=f"elastic-images{extra}=={__version__}",
        watched=(*storage_urls, autoscaler_url),
        environment={
            **{f"ELASTIC_IMAGES_{name}": value for name, value in environment.items()},
            "AWS_DEFAULT_REGION": region,
        },
    )


def _seen_from_elsewhere(url: str, settings: Settings, name: str) -> str:
    """The URL, with a loopback address replaced by this machine's address."""
    parts = urlsplit(url)
    if not is_loopback(parts.hostname or ""):
        return url
    if settings.advertise is None:
        raise InvalidRequest(
            f"Nodes on EC2 cannot reach {url}: set ELASTIC_IMAGES_{name} to an address in the VPC, or "
            "ELASTIC_IMAGES_ADVERTISE to this machine's (and ELASTIC_IMAGES_INTERNAL_HOST=0.0.0.0, to let them in)."
        )
    if is_loopback(settings.internal_host) and not is_loopback(settings.advertise):
        raise InvalidRequest(
            f"Nodes on EC2 cannot reach {settings.advertise}: the apps listen on {settings.internal_host} only. Set "
            "ELASTIC_IMAGES_INTERNAL_HOST=0.0.0.0."
        )
    return f"{parts.scheme}://{reachable_host(settings.advertise)}:{parts.port or 80}"
