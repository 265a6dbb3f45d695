"""Exports one image to its file."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elastic_images.cli.errors import FAILED, Failure
from elastic_images.cli.transfer.file_names import IMAGES_FOLDER, file_name
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from elastic_images.client import Client, Image

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Exported:
    """The result for one image."""

    key: str
    image: Image | None = None
    """Its metadata, matching the bytes in the file; None if there is no file."""
    file: str = ""
    fetched: bool = False
    """Whether its bytes were downloaded, rather than already there."""
    error: ElasticImagesError | None = None
    """Why there is no file; None if the image was deleted meanwhile."""


class Exporter:
    """Exports images to a folder. Safe to share between threads that work on different keys."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder

    def export(self, image: Image) -> Exported:
        """Write the image to its file, whole or not at all. A file that already has its bytes is kept.

        Raises:
            Unavailable: the system does not answer.
            Unauthenticated, Forbidden: the system refuses.
            Failure: the file cannot be written.
        """
        key = image.key
        try:
            return self._exported(key, image)
        except NotFound:
            return Exported(key)
        except (Unauthenticated, Forbidden):
            raise
        except Unavailable as error:
            # If only this image's bytes are lost, the others can go on. Otherwise this call raises too.
            with contextlib.suppress(NotFound):
                self._client.info(key)
            return Exported(key, error=error)
        except ElasticImagesError as error:
            return Exported(key, error=error)
        except OSError as error:
            raise Failure(f"{error.filename or self._folder} cannot be written: {error.strerror}.", FAILED) from error

    def _exported(self, key: str, image: Image) -> Exported:
        for _ in range(_ATTEMPTS):
            name = file_name(key, image.format)
            path = self._folder / name
            self._make_shard(path.parent)
            if has_bytes(path, image.size_bytes, image.sha256):
                return Exported(key, image, name)
            try:
                self._client.download(key, path, if_match=image.etag)
            except PreconditionFailed:
                image = self._client.info(key)  # it has been replaced since it was listed
            else:
                return Exported(key, image, name, fetched=True)
        raise Conflict("The image kept changing during the export; export it again.")

    def _make_shard(self, shard: Path) -> None:
        """Create the folder of a file, and refuse links, which could lead outside the export."""
        for folder in (self._folder / IMAGES_FOLDER, shard):
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise Failure(f"{folder} is a symbolic link; an export writes only inside its folder.", FAILED)


def remove_leftovers(folder: Path) -> None:
    """Remove partial files left by killed exports. No other export may be writing to the folder."""
    for file in (folder / IMAGES_FOLDER).glob("*/.*.part"):
        file.unlink(missing_ok=True)


def has_bytes(path: Path, size_bytes: int, sha256: str) -> bool:
    """Whether this is a regular file with these bytes."""
    try:
        if path.is_symlink() or path.stat().st_size != size_bytes:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False
