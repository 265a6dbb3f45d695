"""What is said where a package is missing that only some settings need."""

from __future__ import annotations

from elastic_images.core.errors import InvalidRequest


def boto3_missing(what: str) -> InvalidRequest:
    """For whoever needs boto3 and has not got it; `what` begins the sentence: `Nodes on EC2 need`."""
    return InvalidRequest(
        f"{what} the package boto3. Install it: pip install 'elastic-images[aws]' (in a checkout: "
        ".venv/bin/pip install -e '.[aws]')."
    )
