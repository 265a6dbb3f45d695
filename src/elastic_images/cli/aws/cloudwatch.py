"""`aws dashboard` and `aws alarms`: a pool in CloudWatch, for people and for those on call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import print_json
from elastic_images.core.errors import InvalidRequest
from elastic_images.settings import Settings


@click.command()
@click.option("--delete", is_flag=True, help="Delete it instead.")
@click.option("--dry-run", is_flag=True, help="Show what would be put there, and ask nothing of CloudWatch.")
@json_option
@settings_options("metrics", "pool")
def dashboard(delete: bool, dry_run: bool, as_json: bool, settings: Settings) -> None:
    """Make the pool's dashboard in CloudWatch, or make it as this version wants it.

    Its name is NAMESPACE-POOL. Repeated, it changes nothing.

    JSON: {"done": [{"kind", "name", "outcome": "made", "changed", "unchanged", "deleted" or "absent"}]}; with --dry-run
    {"name", "body"}
    """
    from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService
    from elastic_images.metrics.cloudwatch.dashboard import dashboard as body_of
    from elastic_images.metrics.cloudwatch.provisioning import Provisioner

    location = _location(settings)
    service = BotoCloudWatchService()
    body = body_of(location, service.region)
    if dry_run:
        print_json({"name": location.name, "body": body})
        return
    upkeep = Provisioner(service)
    done = upkeep.delete_dashboard(location.name) if delete else upkeep.keep_dashboard(location.name, body)
    _tell([done], as_json)
    if not (delete or as_json):
        console = f"https://{service.region}.console.aws.amazon.com/cloudwatch/home?region={service.region}"
        click.echo(f"{console}#dashboards/dashboard/{location.name}")


@click.command()
@click.option("--notify", metavar="ARN", multiple=True, help="The SNS topic that they tell; may be repeated.")
@click.option(
    "--miss-rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="The miss rate, 0 to 1, above which the alarm for it goes off.",
)
@click.option("--delete", is_flag=True, help="Delete them instead.")
@click.option("--dry-run", is_flag=True, help="Show what would be put there, and ask nothing of CloudWatch.")
@json_option
@settings_options("metrics", "pool")
def alarms(
    notify: tuple[str, ...], miss_rate: float, delete: bool, dry_run: bool, as_json: bool, settings: Settings
) -> None:
    """Make the pool's alarms in CloudWatch, or make them as this version wants them.

    NAMESPACE-POOL-silent: no process has reported for 5 minutes. ...-miss-rate: too many reads needed storage for 15
    minutes. ...-bypasses: nodes have not answered for 5 minutes. Without --notify they keep whom they tell; new ones
    tell nobody. Repeated, it changes nothing.

    JSON: as `aws dashboard`; with --dry-run {"alarms": [what PutMetricAlarm is given]}
    """
    from elastic_images.metrics.cloudwatch.alarms import alarm_names
    from elastic_images.metrics.cloudwatch.alarms import alarms as alarms_of
    from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService
    from elastic_images.metrics.cloudwatch.provisioning import Provisioner

    location = _location(settings)
    wanted = alarms_of(location, miss_rate)
    if dry_run:
        print_json({"alarms": wanted})
        return
    upkeep = Provisioner(BotoCloudWatchService())
    done = upkeep.delete_alarms(alarm_names(location)) if delete else upkeep.keep_alarms(wanted, list(notify) or None)
    _tell(done, as_json)


def _location(settings: Settings) -> Any:
    from elastic_images.metrics.cloudwatch.location import is_cloudwatch, location_of

    if not is_cloudwatch(settings.metrics):
        raise InvalidRequest("This system's figures are not in CloudWatch: set --metrics cloudwatch://NAMESPACE.")
    return location_of(settings.metrics, settings.pool)


def _tell(done: Iterable[Any], as_json: bool) -> None:
    if as_json:
        print_json({"done": [one.to_json() for one in done]})
        return
    for one in done:
        click.echo(f"{one.kind} {one.name}: {one.outcome}")
