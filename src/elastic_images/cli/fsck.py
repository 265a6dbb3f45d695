"""`fsck`: compares the catalog with the object store."""

from __future__ import annotations

import click

from elastic_images.cli.options import json_option, settings_options
from elastic_images.settings import Settings


@click.command()
@json_option
@settings_options("data", "database", "object_store")
def fsck(as_json: bool, settings: Settings) -> None:
    """Compare catalog and object store, and say what does not fit. Changes nothing.

    Objects younger than a day are left alone: they may belong to an upload under way. The exit code is 0 where all is
    well, 1 where an image has lost its object.

    JSON: what is listed, by kind.
    """
    raise NotImplementedError
