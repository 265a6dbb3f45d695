"""`doctor`: checks what a system depends on, and says how to fix what is wrong."""

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
    """Check everything the system depends on, and say how to fix what is wrong.

    Checks the settings, data folder and disk, object store (credentials, permissions, space), database (credentials,
    privileges, schema), CloudWatch, clocks, ports, and whether the apps can reach each other. The system may be
    running. Nothing is left behind. The exit code is 1 if any check is bad.

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
        click.echo("All checks passed." if healthy else "Some checks failed; see above.")
    if not healthy:
        sys.exit(FAILED)
