"""A URL picks the object store, here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from elastic_images.core.errors import InvalidRequest
from elastic_images.storage.objects.base import ObjectStore
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.steps import Step, no_step


def open_object_store(url: str, *, step: Step = no_step) -> ObjectStore:
    """The object store at `url`: `file:///folder`. Touches nothing yet.

    Raises:
        InvalidRequest: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        raise InvalidRequest("An object store on S3 (s3://bucket/prefix) is not there yet; use file:///folder.")
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidRequest("The object store is a URL such as file:///var/lib/elastic-images/objects.")
    return LocalObjectStore(Path(unquote(parts.path)), step=step)
