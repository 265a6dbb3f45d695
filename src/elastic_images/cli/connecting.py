"""The clients of web and the manager that commands get, and the options that locate them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from elastic_images.cli.options import settings_options
from elastic_images.settings import Settings
from elastic_images.settings.addresses import is_loopback
from elastic_images.settings.secret_files import read_secret
from elastic_images.supervisor.running_urls import url_of

if TYPE_CHECKING:
    from elastic_images.client.retries import Retries

Command = Callable[..., Any]
PATIENT_SECONDS = 60.0
"""How long long work waits for a part of the system that restarts: as long as the supervisor waits for it."""
SHORT_SECONDS = 5.0
"""How long other commands do, with somebody in front of them."""


def web_options(*, patient: bool = False) -> Callable[[Command], Command]:
    """`--url`, `--token`, and the settings that supply their defaults. The command gets a `client` of web.

    `patient`: it is long work, which waits for a minute while the system restarts, and 7 s while it does not answer.
    """

    def client_of(url: str, token: str | None) -> Any:
        # Imported here, as below, so that `up` and `serve` do not load it.
        from elastic_images.client.client import Client

        return Client(url, token=token, retries=_retries(patient=patient), pool_size=32)

    return _options("web", "ELASTIC_IMAGES_URL", "client", client_of)


def manager_options(command: Command) -> Command:
    """As `web_options`, for the manager. The command gets its `api`."""
    return _options("manager", "ELASTIC_IMAGES_MANAGER_URL", "api", _api_of)(command)


def web_api_options(command: Command) -> Command:
    """As `web_options`, for calls that a `client` does not have. The command gets web's `api`."""
    return _options("web", "ELASTIC_IMAGES_URL", "api", _api_of)(command)


def _api_of(url: str, token: str | None) -> Any:
    from elastic_images.client.api import Api

    return Api(url, token, retries=_retries(patient=False))


def _options(
    app: str, variable: str, name: str, client_of: Callable[[str, str | None], Any]
) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(*args: Any, url: str | None, token: str | None, settings: Settings, **given: Any) -> Any:
            address = url or url_of(settings, app)
            with client_of(address, token or _kept_token(settings, address)) as client:
                return command(*args, **{name: client}, **given)

        wrapped: Command = settings_options("data", "port_offset", "host")(run)
        wrapped = click.option(
            "--token",
            envvar="ELASTIC_IMAGES_TOKEN",
            show_envvar=True,
            help="API token. [default: the one in the data folder]",
        )(wrapped)
        return click.option(
            "--url", envvar=variable, show_envvar=True, help=f"Address of {app}. [default: on this machine]"
        )(wrapped)

    return decorate


def _retries(*, patient: bool) -> Retries:
    from elastic_images.client.retries import Retries

    return Retries(PATIENT_SECONDS) if patient else Retries(SHORT_SECONDS, 0)


def _kept_token(settings: Settings, address: str) -> str | None:
    """The token in the data folder, sent to this machine only."""
    ours = (url_of(settings, "web").rstrip("/"), url_of(settings, "manager").rstrip("/"))
    if not is_loopback(urlsplit(address).hostname or "") and address.rstrip("/") not in ours:
        return None
    try:
        return read_secret(settings.data / "cli-token")
    except OSError:
        return None  # it belongs to another user: call without a token
