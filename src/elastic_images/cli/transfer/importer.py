"""Imports one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from elastic_images.cli.errors import CONFLICT, REFUSED, Failure
from elastic_images.cli.transfer.folder_scan import is_image
from elastic_images.cli.transfer.manifest import FACTS
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    NotFound,
    OutOfSpace,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from elastic_images.core.restored_facts import RestoredFacts

if TYPE_CHECKING:
    from elastic_images.client import Client, Image

OnConflict = Literal["skip", "replace", "fail"]
Kind = Literal["imported", "replaced", "same", "conflict", "not_image", "failed"]

_HOPELESS = (Unauthenticated, Unavailable, OutOfSpace)
"""Errors that the next file would meet too."""
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to import, and its key."""

    file: Path
    path: str
    """Its path inside the folder, for messages."""
    key: str
    facts: Mapping[str, Any] | None = None
    """Its metadata in the manifest; None without a manifest."""
    kept: RestoredFacts | None = None
    """The part of it to restore."""
    error: ElasticImagesError | None = None
    """Why it cannot be imported, if known in advance."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The result for one file."""

    candidate: Candidate
    kind: Kind
    error: ElasticImagesError | None = None
    other_facts: tuple[str, ...] = ()
    """The facts that differ from the manifest, by name."""


class Importer:
    """Imports files. Safe to share between threads that work on different keys."""

    def __init__(self, client: Client, on_conflict: OnConflict) -> None:
        self._client = client
        self._on_conflict = on_conflict

    def import_(self, candidate: Candidate) -> Imported:
        """Store the file under its key, unless the same bytes are already there.

        Raises:
            Unavailable, Unauthenticated, OutOfSpace: the system does not answer, or accepts no image.
            Failure: the caller may not store images; or the key holds another image, and `on_conflict` is `fail`.
        """
        try:
            return self._imported(candidate)
        except _HOPELESS:
            raise
        except ElasticImagesError as error:
            return Imported(candidate, "failed", error)
        except OSError as error:
            return Imported(candidate, "failed", UnreadableFile(f"The file cannot be read: {error.strerror}."))

    def _imported(self, candidate: Candidate) -> Imported:
        if candidate.error is not None:
            raise candidate.error
        if candidate.facts is None and not is_image(candidate.file):
            return Imported(candidate, "not_image")
        with candidate.file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if candidate.facts is not None and candidate.facts["sha256"] != digest:
                raise DamagedFile("Its SHA-256 differs from the manifest.")
            return self._settled(candidate, stream, digest)

    def _settled(self, candidate: Candidate, stream: IO[bytes], digest: str) -> Imported:
        """Store the file depending on what its key holds. Starts over if that changes meanwhile."""
        for _ in range(_ATTEMPTS):
            present = self._present(candidate.key)
            if present is not None and present.sha256 == digest:
                return Imported(candidate, "same", other_facts=_others(candidate, present))
            if present is not None and self._on_conflict != "replace":
                if self._on_conflict == "fail":
                    raise Failure(f"{candidate.key!r} already holds a different image; the import stopped.", CONFLICT)
                return Imported(candidate, "conflict")
            try:
                stored = self._store(candidate, stream, present)
            except PreconditionFailed:
                continue  # someone else stored it
            if stored.sha256 != digest and not stored.location_removed:
                raise Conflict("The file changed while it was read; import it again.")
            return Imported(candidate, "replaced" if present else "imported", other_facts=_others(candidate, stored))
        raise Unavailable(f"{candidate.key!r} could not be stored. What was imported is safe; run the import again.")

    def _present(self, key: str) -> Image | None:
        try:
            return self._client.info(key)
        except NotFound:
            return None

    def _store(self, candidate: Candidate, stream: IO[bytes], present: Image | None) -> Image:
        stream.seek(0)
        try:
            return self._client.upload(
                candidate.key,
                stream,
                if_match=present.etag if present else None,
                if_none_match=None if present else "*",
                keep=candidate.kept,
            )
        except Forbidden as error:
            if present is not None:
                raise
            # No existing image is protected here, so the next file would be refused too.
            hint = "" if candidate.kept is None else " Use --without-facts to import the images as new ones."
            raise Failure(f"{error}{hint}", REFUSED) from error


class DamagedFile(ElasticImagesError):
    """A file of an export is not as it was exported."""

    slug, title = "damaged-file", "Damaged file"


class UnreadableFile(ElasticImagesError):
    """A file cannot be read."""

    slug, title = "unreadable-file", "Unreadable file"


def _others(candidate: Candidate, image: Image) -> tuple[str, ...]:
    if candidate.facts is None:
        return ()
    facts = candidate.facts
    return tuple(name for name in FACTS if name in facts and facts[name] != getattr(image, name))
