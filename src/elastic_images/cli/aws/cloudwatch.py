"""`aws dashboard` and `aws alarms`: a pool's dashboard and alarms in CloudWatch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import print_json
from elastic_images.core.errors import InvalidRequest
from elastic_images.settings import Settings


@click.command()
@click.option("--delete", is_flag=True, help="Delete the dashboard.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, without calling CloudWatch.")
@json_option
@settings_options("metrics", "pool")
def dashboard(delete: bool, dry_run: bool, as_json: bool, settings: Settings) -> None:
    """Create or update the pool's dashboard in CloudWatch, named NAMESPACE-POOL.

    Repeating the command changes nothing.

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
    provisioner = Provisioner(service)
    done = provisioner.delete_dashboard(location.name) if delete else provisioner.keep_dashboard(location.name, body)
    _print([done], as_json)
    if not (delete or as_json):
        console = f"https://{service.region}.console.aws.amazon.com/cloudwatch/home?region={service.region}"
        click.echo(f"{console}#dashboards/dashboard/{location.name}")


@click.command()
@click.option("--notify", metavar="ARN", multiple=True, help="SNS topic to notify; may be repeated.")
@click.option(
    "--miss-rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Miss rate, 0 to 1, above which the alarm goes off.",
)
@click.option("--delete", is_flag=True, help="Delete the alarms.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, without calling CloudWatch.")
@json_option
@settings_options("metrics", "pool")
def alarms(
    notify: tuple[str, ...], miss_rate: float, delete: bool, dry_run: bool, as_json: bool, settings: Settings
) -> None:
    """Create or update the pool's alarms in CloudWatch.

    NAMESPACE-POOL-silent: no process has reported for 5 minutes. NAMESPACE-POOL-miss-rate: the miss rate has been too
    high for 15 minutes. NAMESPACE-POOL-bypasses: nodes have not answered for 5 minutes. Without --notify, existing
    alarms keep their topics and new ones have none. Repeating the command changes nothing.

    JSON: as `aws dashboard`; with --dry-run {"alarms": [arguments of PutMetricAlarm]}
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
    provisioner = Provisioner(BotoCloudWatchService())
    done = (
        provisioner.delete_alarms(alarm_names(location))
        if delete
        else provisioner.keep_alarms(wanted, list(notify) or None)
    )
    _print(done, as_json)


def _location(settings: Settings) -> Any:
    from elastic_images.metrics.cloudwatch.location import is_cloudwatch, location_of

    if not is_cloudwatch(settings.metrics):
        raise InvalidRequest("This system's metrics are not in CloudWatch: set --metrics cloudwatch://NAMESPACE.")
    return location_of(settings.metrics, settings.pool)


def _print(done: Iterable[Any], as_json: bool) -> None:
    if as_json:
        print_json({"done": [one.to_json() for one in done]})
        return
    for one in done:
        click.echo(f"{one.kind} {one.name}: {one.outcome}")
