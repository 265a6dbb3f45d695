"""`aws nodes` and `aws terminate-nodes`: list and terminate a pool's instances without the autoscaler."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import moment, print_json, print_table
from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elastic_images.autoscaler.nodes.ec2.boto import BotoEc2Service
    from elastic_images.autoscaler.nodes.ec2.calls import Instance

_POLL_SECONDS = 2.0
_TIMEOUT_SECONDS = 600.0


@click.command()
@json_option
@settings_options("node_provider", "pool")
def nodes(as_json: bool, settings: Settings) -> None:
    """List the pool's instances, as EC2 reports them.

    JSON: [{"id", "slot", "state", "address", "subnet", "launched_at"}]
    """
    service = _service(settings)
    try:
        _print(_live_instances(service), as_json)
    finally:
        service.close()


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@settings_options("node_provider", "pool")
def terminate_nodes(yes: bool, as_json: bool, settings: Settings) -> None:
    """Terminate all of the pool's instances, and wait until they are gone.

    Stop the system first: a running autoscaler would launch new instances. Images are not touched.

    JSON: as `aws nodes`, for the terminated instances
    """
    service = _service(settings)
    try:
        found = _live_instances(service)
        if found and not yes:
            click.confirm(f"Terminate {len(found)} instances?", abort=True, err=True)
        _terminate(service, found)
    finally:
        service.close()
    _print(found, as_json)


def _service(settings: Settings) -> BotoEc2Service:
    from elastic_images.autoscaler.nodes.ec2.boto import BotoEc2Service
    from elastic_images.autoscaler.nodes.ec2.setting import parse_ec2_setting

    if not settings.node_provider.startswith("ec2:"):
        raise InvalidRequest("The nodes are not on EC2: ELASTIC_IMAGES_NODE_PROVIDER is not ec2://...")
    return BotoEc2Service(parse_ec2_setting(settings.node_provider, settings.pool))


def _live_instances(service: BotoEc2Service) -> list[Instance]:
    from elastic_images.autoscaler.nodes.ec2.calls import Ec2Error

    try:
        return [instance for instance in service.instances() if instance.state != "terminated"]
    except Ec2Error as trouble:
        raise trouble.as_ours() from None


def _terminate(service: BotoEc2Service, found: Sequence[Instance]) -> None:
    from elastic_images.autoscaler.nodes.ec2.calls import Ec2Error

    deadline = time.monotonic() + _TIMEOUT_SECONDS
    try:
        service.terminate([instance.id for instance in found])
    except Ec2Error as trouble:
        raise trouble.as_ours() from None
    while _live_instances(service):
        if time.monotonic() >= deadline:
            raise Unavailable(f"Some instances are still there after {_TIMEOUT_SECONDS / 60:.0f} minutes; try again.")
        time.sleep(_POLL_SECONDS)


def _print(found: Sequence[Instance], as_json: bool) -> None:
    rows = sorted(found, key=lambda one: (one.slot is None, one.slot or 0, one.id))
    if as_json:
        names = ("id", "slot", "state", "address", "subnet", "launched_at")
        print_json([{name: getattr(one, name) for name in names} for one in rows])
    else:
        cells = [(one.slot, one.id, one.state, one.address, one.subnet, moment(one.launched_at)) for one in rows]
        print_table(["slot", "instance", "state", "address", "subnet", "launched"], cells)
