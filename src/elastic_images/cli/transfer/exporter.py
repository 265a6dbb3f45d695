"""One image from the system into its file."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elastic_images.cli.api_client import ApiClient
from elastic_images.cli.errors import FAILED, Failure
from elastic_images.cli.transfer.file_names import IMAGES_FOLDER, file_name
from elastic_images.cli.transfer.retries import with_retries
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
)

Json = Mapping[str, Any]

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one image."""

    key: str
    image: Json | None = None
    """Its metadata as of the bytes in the file; None where there is no file."""
    file: str = ""
    fetched: bool = False
    """Its bytes were fetched; else they were there."""
    error: ElasticImagesError | None = None
    """Why there is no file; None where the image was deleted meanwhile."""


class Exporter:
    """Puts images into files of a folder. Safe to share between threads, for images of different keys."""

    def __init__(self, api: ApiClient, folder: Path) -> None:
        self._api = api
        self._folder = folder

    def export(self, image: Json) -> Exported:
        """Put the image of this metadata into its file, whole or not at all; a file that has its bytes stays.

        Raises:
            Unavailable: the system does not answer.
            Unauthenticated, Forbidden: it refuses.
            Failure: the file cannot be written.
        """
        key = str(image["key"])
        try:
            return self._exported(key, image)
        except NotFound:
            return Exported(key)
        except (Unauthenticated, Forbidden):
            raise
        except Unavailable as error:
            # This image's bytes may be lost, which is no reason to leave the others. Else this raises, too.
            with contextlib.suppress(NotFound):
                self._api.metadata(key)
            return Exported(key, error=error)
        except ElasticImagesError as error:
            return Exported(key, error=error)
        except OSError as error:
            raise Failure(f"{error.filename or self._folder} cannot be written: {error.strerror}.", FAILED) from error

    def _exported(self, key: str, image: Json) -> Exported:
        for _ in range(_ATTEMPTS):
            name = file_name(key, image["format"])
            path = self._folder / name
            self._make_shard(path.parent)
            if has_bytes(path, image["size_bytes"], image["sha256"]):
                return Exported(key, image, name)
            if self._fetch(key, path, image["sha256"]):
                return Exported(key, image, name, fetched=True)
            image = with_retries(lambda: self._api.metadata(key))  # it was replaced since it was listed
        raise Conflict("It is replaced again and again; its bytes never were those of its metadata.")

    def _fetch(self, key: str, path: Path, sha256: str) -> bool:
        """Fetch the image's bytes; they become the file where they have this digest."""
        temporary = path.with_name(f".{path.name}.part")
        try:
            fits = with_retries(lambda: self._download(key, temporary)) == sha256
            if fits:
                temporary.replace(path)
            return fits
        finally:
            temporary.unlink(missing_ok=True)

    def _download(self, key: str, file: Path) -> str:
        """Fetch the image's bytes into a new file; gives their digest."""
        from urllib3.exceptions import HTTPError

        digest = hashlib.sha256()
        file.unlink(missing_ok=True)  # of an export that was killed
        with contextlib.closing(self._api.fetch(key)) as answer, file.open("xb") as target:
            try:
                for chunk in answer.stream(_CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
            except HTTPError as error:
                raise Unavailable("The image was cut off on its way.") from error
            target.flush()
            os.fsync(target.fileno())
        return digest.hexdigest()

    def _make_shard(self, shard: Path) -> None:
        """Make the folder of a file; where it is a link, it may lead out of the export."""
        for folder in (self._folder / IMAGES_FOLDER, shard):
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise Failure(f"{folder} is a link; an export writes only inside its folder.", FAILED)


def remove_leftovers(folder: Path) -> None:
    """Remove what exports that were killed left of files on their way. No other export may be writing there."""
    for file in (folder / IMAGES_FOLDER).glob("*/.*.part"):
        file.unlink(missing_ok=True)


def has_bytes(path: Path, size_bytes: int, sha256: str) -> bool:
    """Whether there is a file, no link, with these bytes."""
    try:
        if path.is_symlink() or path.stat().st_size != size_bytes:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False
