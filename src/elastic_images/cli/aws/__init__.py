"""`aws`: what a system on AWS needs beside its settings. Each module imports what it needs when a command runs."""

from __future__ import annotations

import click

from elastic_images.cli.aws.cloudwatch import alarms, dashboard
from elastic_images.cli.aws.nodes import nodes, terminate_nodes
from elastic_images.cli.aws.push import push


@click.group()
def aws() -> None:
    """Prepare and watch a system on AWS (docs/aws.md).

    Region, credentials and endpoints are found by boto3: AWS_DEFAULT_REGION, a role, or AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY.
    """


aws.add_command(alarms)
aws.add_command(dashboard)
aws.add_command(nodes)
aws.add_command(push)
aws.add_command(terminate_nodes)
