"""Who asks for an image, from a memory that is at most two seconds old.

A read of what everybody may see never comes here. Asking the database at each of the others would cost more than the
read itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from elastic_images.accounts.access import Anonymous, effective, images_are_open
from elastic_images.accounts.principal import ANONYMOUS, Principal, Via
from elastic_images.core.errors import NotFound, Unauthenticated
from elastic_images.core.image_facts import Actor
from elastic_images.core.visibility import Visibility, may_see
from elastic_images.front.reads import Environ
from elastic_images.pool.lease_clock import lease_clock
from elastic_images.web.reads.link_viewers import Keys, LinkViewers
from elastic_images.web.reads.remembered import Remembered

_REMEMBERED_CHARACTERS = 2048

NO_IMAGE = "There is no image with this key."

_SENT_AS = ("HTTP_AUTHORIZATION", "HTTP_COOKIE")
_Credentials = tuple[str | None, str | None]


class Viewer(NamedTuple):
    """The caller of a read."""

    actor: Actor
    via: Via
    may_read: bool = True
    """Whether they may read any image by its address."""

    def sees(self, visibility: Visibility, owner_id: int | None) -> bool:
        """Whether an image with this visibility and owner exists for them."""
        return self.may_read and may_see(self.actor, visibility, owner_id)


class Viewers:
    """Finds the viewers of requests. Safe to share between threads."""

    def __init__(
        self,
        mode: Anonymous,
        identify: Callable[[Environ], Principal],
        identify_all: Callable[[Sequence[Environ]], Sequence[Principal | None]],
        keys: Keys | None = None,
        *,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        """`identify` may wait for the database; it raises Unauthenticated for a token that is not valid.

        `identify_all` does the same for many at once, and gives None for those who are not valid. `keys` sign links;
        without them, signatures mean nothing.
        """
        self.free: Visibility | None = "public" if images_are_open(mode) else None
        """What may be shown without knowing who asks."""
        self._identify, self._identify_all = identify, identify_all
        self.stranger = self._viewer(effective(mode, ANONYMOUS))
        self._remembered: Remembered[_Credentials, Viewer] = Remembered(clock, refreshes=True)
        self._links = (
            None
            if keys is None
            else LinkViewers(keys, lambda principal: self._viewer(effective(mode, principal)), clock)
        )

    def known(self, environ: Environ) -> Viewer | None:
        """Who sent this request, without waiting; None if only `find` can tell, or refuses it."""
        if self._links is not None and (signature := self._links.signature_of(environ)) is not None:
            return self._links.known(environ, signature)
        authorization, cookie = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_COOKIE")
        if authorization is None and cookie is None:
            return self.stranger
        return self._remembered.get((authorization, cookie))

    def find(self, environ: Environ) -> Viewer:
        """As `known`, from the database if need be.

        Raises:
            Unauthenticated: the request has a token that is not valid.
            InvalidRequest, SignatureInvalid, SignatureExpired: its address has a signature that is not right.
            Unavailable: the database is not responding.
        """
        if self._links is not None and (signature := self._links.signature_of(environ)) is not None:
            return self._links.find(environ, signature)
        viewer = self.known(environ)
        if viewer is not None:
            return viewer
        credentials = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_COOKIE")
        is_short = sum(len(text or "") for text in credentials) <= _REMEMBERED_CHARACTERS
        return self._remembered.look_up(
            credentials,
            lambda: self._viewer(self._identify(environ)),
            # Credentials that somebody made up would push out others.
            lambda found: is_short and found.via != "anonymous",
        )

    def refresh(self) -> None:
        """Look up again those who go on asking. To be called twice a second, on one thread. Raises Unavailable."""
        self._remembered.refresh(self._find_all)

    def _find_all(self, asked: Sequence[_Credentials]) -> list[Viewer | None]:
        environs = [
            {name: text for name, text in zip(_SENT_AS, credentials, strict=True) if text is not None}
            for credentials in asked
        ]
        return [None if one is None else self._viewer(one) for one in self._identify_all(environs)]

    def forget(self) -> None:
        """Forget everybody: a session, token or user of somebody has ended. Look-ups under way are not remembered."""
        self._remembered.forget()
        if self._links is not None:
            self._links.forget()

    def _viewer(self, principal: Principal) -> Viewer:
        return Viewer(principal.actor(), principal.via, self.free is not None or "read" in principal.scopes)


class ImageRead:
    """One read: what the client sent, and who that is, found out when it matters. Used by one thread at a time."""

    __slots__ = ("_viewer", "_viewers", "environ")

    def __init__(self, viewers: Viewers, environ: Mapping[str, Any], actor: Actor | None = None) -> None:
        """`actor`: who reads, if that is known already."""
        self.environ = environ
        self._viewers = viewers
        self._viewer = None if actor is None else Viewer(actor, "session")

    @property
    def query(self) -> str:
        """The query of the request."""
        return str(self.environ.get("QUERY_STRING") or "")

    @property
    def is_head(self) -> bool:
        """Whether the answer has no body."""
        return bool(self.environ["REQUEST_METHOD"] == "HEAD")

    @property
    def viewer(self) -> Viewer:
        """Who reads. May wait, and raises as `Viewers.find`; where visitors may read, a bad token is none."""
        if self._viewer is None:
            try:
                self._viewer = self._viewers.find(self.environ)
            except Unauthenticated:
                if self._viewers.free is None:
                    raise
                self._viewer = self._viewers.stranger
        return self._viewer

    @property
    def may_read(self) -> bool:
        """Whether the client may read images at all; otherwise they must log in. May raise Unavailable."""
        if self._viewers.free:
            return True
        try:
            return self.viewer.may_read
        except Unauthenticated:
            return False

    def check(self, visibility: Visibility, owner_id: int | None) -> None:
        """Raises NotFound, as for an unknown key, unless an image with this visibility and owner may be seen."""
        if visibility != self._viewers.free and not self.viewer.sees(visibility, owner_id):
            raise NotFound(NO_IMAGE)
