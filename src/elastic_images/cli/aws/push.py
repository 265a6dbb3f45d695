"""`aws push`: uploads the wheels that nodes install."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from elastic_images import __version__
from elastic_images.cli.options import json_option
from elastic_images.cli.output import amount, print_json
from elastic_images.cli.progress import progress


@click.command()
@click.option("--to", "place", metavar="S3-URL", required=True, help="s3://BUCKET/PREFIX. The version is added to it.")
@click.option(
    "--processor",
    "processors",
    type=click.Choice(["x86_64", "aarch64"]),
    multiple=True,
    help="Processor of the nodes; may be repeated. [default: both]",
)
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the dependencies' wheels, to use instead of a package index.",
)
@json_option
def push(place: str, processors: tuple[str, ...], wheels: Path | None, as_json: bool) -> None:
    """Upload this version, and the dependencies installed here, for nodes on EC2 to install.

    The wheels are for Python 3.11 on Linux. They go to s3://BUCKET/PREFIX/VERSION, with SHA256SUMS. Repeating the
    command uploads only changes; running nodes are not affected.

    JSON: {"place", "files", "bytes", "uploaded", "kept", "removed"}
    """
    from elastic_images.cli.aws.wheel_uploader import WheelUploader
    from elastic_images.cli.aws.wheels import PROCESSORS, SUMS, collect
    from elastic_images.storage.objects.s3.boto import BotoS3Service

    target = f"{place.rstrip('/')}/{__version__}"
    uploader = WheelUploader(BotoS3Service(answer_seconds=60), target)
    with tempfile.TemporaryDirectory(prefix="elastic-images-push-") as name:
        folder = Path(name)
        files = collect(folder, processors or PROCESSORS, wheels=wheels, say=lambda text: click.echo(text, err=True))
        size = sum(path.stat().st_size for path in files)
        with progress("Uploading") as advance:
            pushed = uploader.push(files, folder / SUMS, lambda done: advance(done, size))
    if as_json:
        counts = {"uploaded": pushed.uploaded, "kept": pushed.kept, "removed": pushed.removed}
        print_json({"place": target, "files": len(files), "bytes": size, **counts})
    else:
        click.echo(
            f"{target}: {len(files)} wheels, {amount(size)}; {pushed.uploaded} files uploaded, {pushed.kept} unchanged"
        )
