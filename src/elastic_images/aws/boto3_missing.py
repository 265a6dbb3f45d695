"""The error for settings that need boto3 when it is not installed."""

from __future__ import annotations

from elastic_images.core.errors import InvalidRequest


def boto3_missing(what: str) -> InvalidRequest:
    """The error to raise. `what` starts its sentence: `Nodes on EC2 need`."""
    return InvalidRequest(
        f"{what} the package boto3. Install it: pip install 'elastic-images[aws]' (in a checkout: "
        ".venv/bin/pip install -e '.[aws]')."
    )
