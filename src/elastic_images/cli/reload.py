"""`reload`: new processes for a running system, without a pause."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from typing import Any

import click

from elastic_images.cli.errors import FAILED
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import print_json
from elastic_images.core.errors import Conflict, Unavailable
from elastic_images.settings import Settings

_ANSWER_SECONDS = 300.0


@click.command()
@json_option
@settings_options("data")
def reload(as_json: bool, settings: Settings) -> None:
    """Replace the processes of the system that `up` runs on this data folder, without refusing a request.

    Each new process of imaging, storage, autoscaler, web and manager is ready before the old one gives up. Nodes are
    left alone. The code may be a new version, but the settings are those that `up` was started with. The exit code is
    0 if all are new. If a new process does not become ready, the old one goes on, and the reason is printed.

    JSON: {"done", "ok", "new": [process...], "old": {process: reason}}
    """
    result: dict[str, Any] = {}
    for line in _lines(settings):
        if "error" in line:
            raise (Conflict if line.get("busy") else Unavailable)(line["error"])
        if line.get("done"):
            result = line
        elif not as_json:
            reason = f": {line['reason']}" if "reason" in line else ""
            click.echo(f"{line['process']}: {line['state']}{reason}")
    if not result:
        raise Unavailable("The system stopped during the reload.")
    if as_json:
        print_json(result)
    if not result["ok"]:
        sys.exit(FAILED)


def _lines(settings: Settings) -> Iterator[dict[str, Any]]:
    """What the supervisor answers, line by line."""
    from elastic_images.process.unix_sockets import address_of
    from elastic_images.supervisor.control import control_path

    path = control_path(settings.data)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            with address_of(path) as address:
                connection.connect(address)
            connection.sendall(b'{"command": "reload"}\n')
            with connection.makefile("rb") as stream:
                yield from map(json.loads, stream)
        except (FileNotFoundError, ConnectionRefusedError):
            raise Unavailable(f"No system runs on the data folder {settings.data}; start one with up.") from None
        except OSError as error:
            raise Unavailable(f"The supervisor does not answer: {error.strerror or error}.") from error
