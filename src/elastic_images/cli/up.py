"""`up`: the whole system on this machine."""

from __future__ import annotations

import os
import sys

import click

from elastic_images.cli.options import settings_options
from elastic_images.cli.output import settle_output
from elastic_images.settings import Settings
from elastic_images.settings.model import forget_environment
from elastic_images.settings.sources import unknown_variables


@click.command()
@settings_options()
def up(settings: Settings) -> None:
    """Start the whole system on this machine, in the foreground.

    Prints its URLs and, on first start, the administrator's name and password. Ctrl-C or SIGTERM stops everything.
    Each option can also be set in the environment (ELASTIC_IMAGES_NODES) or in elastic-images.toml (nodes). Options
    override the environment, which overrides the file.
    """
    from elastic_images.process import logs
    from elastic_images.supervisor.up import up as run_up

    logs.setup("supervisor", secrets=settings.secret_values())
    for name in unknown_variables(os.environ):
        click.echo(f"elastic-images: {name} is not a setting; see docs/settings.md.", err=True)
    forget_environment()
    code = run_up(settings, say=click.echo)
    settle_output()
    sys.exit(code)
