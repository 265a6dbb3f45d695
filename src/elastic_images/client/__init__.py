"""The Python client: `Client(url, token=...)` for images in a running system. It needs urllib3 and nothing else."""

from elastic_images.client.batches import BatchResult, Delete, Move, SetVisibility
from elastic_images.client.client import Client
from elastic_images.client.downloads import Download
from elastic_images.client.errors import NoAnswer, NotConnected, UnexpectedAnswer
from elastic_images.client.retries import NO_RETRIES, Retries
from elastic_images.client.values import (
    Image,
    Link,
    Page,
    RenditionParameters,
    Restored,
    SigningKey,
    TrashEntry,
    Uploaded,
)
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from elastic_images.core.visibility import Visibility

__all__ = [
    "NO_RETRIES",
    "BatchResult",
    "Client",
    "Conflict",
    "Delete",
    "Download",
    "ElasticImagesError",
    "Forbidden",
    "Image",
    "InvalidRequest",
    "Link",
    "Move",
    "NoAnswer",
    "NotConnected",
    "NotFound",
    "Page",
    "PreconditionFailed",
    "RenditionParameters",
    "Restored",
    "Retries",
    "SetVisibility",
    "SigningKey",
    "TrashEntry",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "Uploaded",
    "Visibility",
]
