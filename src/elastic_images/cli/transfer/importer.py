"""One file into the system."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from elastic_images.cli.api_client import ApiClient
from elastic_images.cli.errors import CONFLICT, REFUSED, Failure
from elastic_images.cli.transfer.folder_scan import is_image
from elastic_images.cli.transfer.manifest import FACTS
from elastic_images.cli.transfer.retries import with_retries
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
from elastic_images.core.restored_facts import KEEP_FACTS_HEADER, RestoredFacts

OnConflict = Literal["skip", "replace", "fail"]
Kind = Literal["imported", "replaced", "same", "conflict", "not_image", "failed"]

_HOPELESS = (Unauthenticated, Unavailable, OutOfSpace)
"""What the next file would meet, too."""
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """A file for a key."""

    file: Path
    place: str
    """Its path inside the folder, for people."""
    key: str
    facts: Mapping[str, Any] | None = None
    """What an export's manifest says of it; None: there is none."""
    kept: RestoredFacts | None = None
    """What of that is to be restored."""
    trouble: ElasticImagesError | None = None
    """Why it cannot be imported, where that is known before it is looked at."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one offer."""

    offer: Offer
    kind: Kind
    error: ElasticImagesError | None = None
    other_facts: tuple[str, ...] = ()
    """The names of the facts that are others than the manifest's."""


class Importer:
    """Offers files to the system. Safe to share between threads, for different keys."""

    def __init__(self, api: ApiClient, on_conflict: OnConflict) -> None:
        self._api = api
        self._on_conflict = on_conflict

    def import_(self, offer: Offer) -> Imported:
        """Store the file under its key, unless its bytes are there.

        Raises:
            Unavailable, Unauthenticated, OutOfSpace: the system does not answer, or takes nothing.
            Failure: the caller may store nothing; or the key has other bytes, and that was to be the end.
        """
        try:
            return self._imported(offer)
        except _HOPELESS:
            raise
        except ElasticImagesError as error:
            return Imported(offer, "failed", error)
        except OSError as error:
            return Imported(offer, "failed", UnreadableFile(f"It cannot be read: {error.strerror}."))

    def _imported(self, offer: Offer) -> Imported:
        if offer.trouble is not None:
            raise offer.trouble
        if offer.facts is None and not is_image(offer.file):
            return Imported(offer, "not_image")
        with offer.file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if offer.facts is not None and offer.facts["sha256"] != digest:
                raise DamagedFile("Its bytes are not those that the manifest names.")
            return self._settled(offer, stream, digest)

    def _settled(self, offer: Offer, stream: IO[bytes], digest: str) -> Imported:
        """Look what is there and act on it; again where it changed between the two."""
        for _ in range(_ATTEMPTS):
            present = with_retries(lambda: self._present(offer.key))
            if present is not None and present["sha256"] == digest:
                return Imported(offer, "same", other_facts=_others(offer, present))
            if present is not None and self._on_conflict != "replace":
                if self._on_conflict == "fail":
                    raise Failure(f"{offer.key!r} is there with other bytes; nothing more was imported.", CONFLICT)
                return Imported(offer, "conflict")
            try:
                stored = self._store(offer, stream, present)
            except (PreconditionFailed, Unavailable):
                continue  # somebody else stored, or it was stored and not acknowledged
            if stored["sha256"] != digest:
                raise Conflict("It was changed while it was read; import it again.")
            return Imported(offer, "replaced" if present else "imported", other_facts=_others(offer, stored))
        raise Unavailable(f"{offer.key!r} could not be stored; what was imported is safe, run it again.")

    def _present(self, key: str) -> dict[str, Any] | None:
        try:
            return self._api.metadata(key)
        except NotFound:
            return None

    def _store(self, offer: Offer, stream: IO[bytes], present: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"If-Match": str(present["etag"])} if present else {"If-None-Match": "*"}
        if offer.kept is not None:
            headers[KEEP_FACTS_HEADER] = offer.kept.to_header()
        stream.seek(0)
        try:
            return self._api.upload(offer.key, stream, os.fstat(stream.fileno()).st_size, headers)[1]
        except Forbidden as error:
            if present is not None:
                raise
            # It is nobody else's image that is refused, so the next file would be, too.
            hint = "" if offer.kept is None else " --without-facts imports the images as new ones."
            raise Failure(f"{error}{hint}", REFUSED) from error


class DamagedFile(ElasticImagesError):
    """A file of an export has other bytes than it had."""

    slug, title = "damaged-file", "Damaged file"


class UnreadableFile(ElasticImagesError):
    """A file cannot be read."""

    slug, title = "unreadable-file", "Unreadable file"


def _others(offer: Offer, image: Mapping[str, Any]) -> tuple[str, ...]:
    if offer.facts is None:
        return ()
    facts = offer.facts
    return tuple(name for name in FACTS if name in facts and facts[name] != image[name])
