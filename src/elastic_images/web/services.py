"""The web app's collaborators, as small Protocols that tests can fake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from elastic_images.core.image_facts import Actor, ImageMetadata, ImagePage, Neighbours, TrashPage, Usage
from elastic_images.core.pool_document import ConfigDocument, RateDocument
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.http.answer import Answer


class Body(Protocol):
    """A stream of bytes, read once."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""


class Images(Protocol):
    """Storage, as web uses it (`storage/client.py`). Thread-safe; every method raises Unavailable."""

    def put(
        self,
        key: str,
        body: Body,
        length_bytes: int,
        *,
        actor: Actor,
        if_match: str | None = None,
        if_none_match: str | None = None,
        kept: RestoredFacts | None = None,
    ) -> tuple[bool, ImageMetadata]:
        """Store an image; returns whether the key is new, and the metadata. Raises the errors of uploads."""

    def delete(self, key: str, *, actor: Actor, if_match: str | None = None) -> None:
        """Delete an image. Raises NotFound, Forbidden, PreconditionFailed."""

    def metadata(self, key: str) -> ImageMetadata:
        """The metadata of an image. Raises NotFound."""

    def page(self, *, prefix: str = "", limit: int = 100, cursor: str | None = None, order: str = "key") -> ImagePage:
        """One page of the listing. Raises InvalidRequest for a bad cursor."""

    def neighbours(self, key: str, *, prefix: str = "", order: str = "key") -> Neighbours:
        """The images before and after `key` in that listing. Raises NotFound."""

    def trash(self, *, actor: Actor, prefix: str = "", limit: int = 100, cursor: str | None = None) -> TrashPage:
        """One page of what `actor` may restore. Raises InvalidRequest for a bad cursor."""

    def newest_in_trash(self, key: str, *, actor: Actor) -> int | None:
        """The id of the newest entry of `key` that `actor` may restore."""

    def restore(self, entry_id: int, *, actor: Actor, if_none_match: str | None = None) -> ImageMetadata:
        """Bring an image back from the trash. Raises NotFound, Conflict, Forbidden, PreconditionFailed."""

    def purge_trash(self, prefix: str = "", *, actor: Actor) -> int:
        """Remove entries for good, and return how many. Raises Forbidden, InvalidRequest."""

    def usage(self) -> Usage:
        """How much is stored."""

    def delete_all(self, *, actor: Actor) -> int:
        """Delete every image and return how many there were."""


class PoolControl(Protocol):
    """The autoscaler, as web uses it (`autoscaler/client.py`). Every method raises Unavailable."""

    def config(self) -> ConfigDocument:
        """The pool's settings."""

    def update_config(self, changes: Mapping[str, object]) -> ConfigDocument:
        """Change some of them, all or nothing, and return the result. Raises InvalidRequest."""

    def rate(self, window_seconds: float = 60) -> RateDocument:
        """Requests, hits, misses, and their rates (None without requests)."""


class Plane(Protocol):
    """The image data plane (`web/reads/plane.py`). Safe for concurrent use."""

    def read_whole(self, key: str) -> Answer:
        """The whole image, read and counted like `GET /images/<key>`. Raises NotFound, Unavailable."""

    def respond(self, environ: dict[str, Any]) -> Answer:
        """The answer to a GET or HEAD of `/images/<key>`; errors are answers too."""

    def locate(self, key: str) -> tuple[int, int | None]:
        """The partition (0 to 15) and its owner's slot (None while no pool is known)."""
