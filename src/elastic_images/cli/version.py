"""`version`: the versions of the program and of its database."""

from __future__ import annotations

import platform

import click

from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import print_json
from elastic_images.core.errors import ElasticImagesError
from elastic_images.settings import Settings


@click.command()
@json_option
@settings_options("data", "database")
def version(as_json: bool, settings: Settings) -> None:
    """Print the versions of the program, of Python, and of the database's schema. Changes nothing.

    JSON: {"version", "python", "schema": the program's, "database_schema": the database's or null, "database":
    "current", "older", "newer", or why there is none}
    """
    from elastic_images import __version__
    from elastic_images.database.migrate import known_revisions, newest_revision

    newest = newest_revision()
    try:
        found = _database_revision(settings)
        newer = found is not None and found not in known_revisions()
        state = "current" if found == newest else "newer" if newer else "older"
    except ElasticImagesError as error:
        found, state = None, str(error)
    if as_json:
        names = {"version": __version__, "python": platform.python_version(), "schema": newest}
        print_json({**names, "database_schema": found, "database": state})
        return
    click.echo(f"Elastic Images {__version__}, Python {platform.python_version()}")
    click.echo(f"schema of this program  {newest}")
    click.echo(f"schema of the database  {f'{found} ({state})' if found else state}")


def _database_revision(settings: Settings) -> str | None:
    from elastic_images.cli.existing_system import require_system
    from elastic_images.database.explained import explained_engine
    from elastic_images.database.migrate import revision_of

    require_system(settings)
    with explained_engine(settings.database) as engine:
        return revision_of(engine)
