"""`aws`: sets up and watches a system on AWS. Each module imports what it needs when a command runs."""

from __future__ import annotations

import click

from elastic_images.cli.aws.cloudwatch import alarms, dashboard
from elastic_images.cli.aws.nodes import nodes, terminate_nodes
from elastic_images.cli.aws.push import push


@click.group()
def aws() -> None:
    """Set up and watch a system on AWS (docs/aws.md).

    boto3 finds the region, credentials and endpoints: AWS_DEFAULT_REGION, an instance role, or AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY.
    """


aws.add_command(alarms)
aws.add_command(dashboard)
aws.add_command(nodes)
aws.add_command(push)
aws.add_command(terminate_nodes)
