"""`doctor`: what is wrong with a system's surroundings, and how to mend it."""

from __future__ import annotations

import os
import sys

import click

from elastic_images.cli.errors import FAILED
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import print_json, printable
from elastic_images.settings import Settings


@click.command()
@json_option
@settings_options()
def doctor(as_json: bool, settings: Settings) -> None:
    """Check everything that the system needs, and say what is wrong and how to mend it.

    Settings, data folder and disk, object store (credentials, permissions, room), database (credentials, rights,
    schema), CloudWatch, clocks, ports, and whether the apps reach each other. The system may run or not; nothing is
    left behind. The exit code is 1 where something is bad.

    JSON: {"healthy", "findings": [{"area", "state": "ok", "note" or "bad", "what", "mend"}]}
    """
    from elastic_images.doctor.checks import examine
    from elastic_images.doctor.finding import BAD

    findings = []
    for finding in examine(settings, os.environ):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.state:<4}  {finding.area}: {printable(finding.what)}")
            if finding.mend:
                click.echo(f"      -> {finding.mend}")
    healthy = all(finding.state != BAD for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [finding.to_json() for finding in findings]})
    else:
        click.echo("Everything that was looked at works." if healthy else "Something does not work; see above.")
    if not healthy:
        sys.exit(FAILED)
