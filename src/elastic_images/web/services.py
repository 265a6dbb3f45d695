"""The image data plane, as the rest of the web app uses it."""

from __future__ import annotations

from typing import Any, Protocol

from elastic_images.core.image_facts import Actor
from elastic_images.http.answer import Answer


class Plane(Protocol):
    """The image data plane (`web/reads/plane.py`). Safe for concurrent use."""

    def read_whole(self, key: str, actor: Actor) -> Answer:
        """The whole image, read and counted like `GET /images/<key>` by `actor`. Raises NotFound, Unavailable."""

    def respond(self, environ: dict[str, Any], actor: Actor | None = None) -> Answer | None:
        """The answer to a GET or HEAD of `/images/<key>`; errors are answers too. None: the caller must log in.

        `actor`: who asks, if the request itself does not tell.
        """

    def locate(self, key: str) -> tuple[int, int | None]:
        """The partition (0 to 15) and its owner's slot (None while no pool is known)."""
