"""What the web app works with: small Protocols, so that tests may bring their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from elastic_images.core.image_facts import Actor, ImageMetadata, ImagePage, Neighbours, Usage
from elastic_images.core.pool_document import ConfigDocument, RateDocument
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.http.answer import Answer


class Body(Protocol):
    """A stream of bytes, read once."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""


class Images(Protocol):
    """What web asks of storage (`storage/client.py`). Safe for concurrent use; every method raises Unavailable."""

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
        """Store an image: whether its key is new, and its metadata. Raises what the core's errors say of uploads."""

    def delete(self, key: str, *, actor: Actor, if_match: str | None = None) -> None:
        """Delete an image. Raises NotFound, Forbidden, PreconditionFailed."""

    def metadata(self, key: str) -> ImageMetadata:
        """The metadata of an image. Raises NotFound."""

    def page(self, *, prefix: str = "", limit: int = 100, cursor: str | None = None, order: str = "key") -> ImagePage:
        """One page of the listing. Raises InvalidRequest for a bad cursor."""

    def neighbours(self, key: str, *, prefix: str = "", order: str = "key") -> Neighbours:
        """The images before and after `key` in that listing. Raises NotFound."""

    def usage(self) -> Usage:
        """How much is stored."""

    def delete_all(self, *, actor: Actor) -> int:
        """Delete every image; how many there were."""


class PoolControl(Protocol):
    """What web asks of the autoscaler (`autoscaler/client.py`). Every method raises Unavailable."""

    def config(self) -> ConfigDocument:
        """The pool's settings."""

    def update_config(self, changes: Mapping[str, object]) -> ConfigDocument:
        """Change some of them, all or nothing; the whole as it is then. Raises InvalidRequest."""

    def rate(self, window_seconds: float = 60) -> RateDocument:
        """Requests, hits, misses, and their rates (None without requests)."""


class Plane(Protocol):
    """The image data plane (`web/reads/plane.py`). Safe for concurrent use."""

    def read_whole(self, key: str) -> Answer:
        """The whole image, read as `GET /images/<key>` reads it and counted as a read. Raises NotFound, Unavailable."""

    def respond(self, environ: dict[str, Any]) -> Answer:
        """What the GET or HEAD of `/images/<key>` in `environ` is answered, errors included."""

    def locate(self, key: str) -> tuple[int, int | None]:
        """Partition (0 to 15), and the slot of the node that owns it (None while no pool is known)."""
