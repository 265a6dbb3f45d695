"""What is measured, side by side."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

WEB = "web"
NODE = "node"
NGINX = "nginx"
MEMCACHED = "nginx + memcached"
FLASK = "Flask"
PLAIN = "plain files"
PUBLIC, TOKEN, SESSION, LINK, TOKENS = "public", "by token", "by session", "by link", "1,000 in turn"
SEAWEEDFS = "SeaweedFS"

ALL = (WEB, NODE, NGINX, MEMCACHED, FLASK)
MEANINGS: Mapping[str, str] = {
    WEB: "this system, through `web`",
    NODE: "this system, straight at the cache node",
    NGINX: "nginx, static files, one worker",
    MEMCACHED: "nginx, one worker, in front of memcached",
    FLASK: "images in memory, answered by a Flask view, on the server that this system uses",
    PUBLIC: "an image that everybody may see, through `web`",
    TOKEN: "a private one of the same bytes, asked for with a token",
    SESSION: "the same with the cookie of a session",
    LINK: "the same by a signed link",
    TOKENS: "the same with each of 1,000 tokens in turn",
    PLAIN: "the same files written and flushed (fsync) by as many threads, and nothing else",
    SEAWEEDFS: "the same files put into a bucket of SeaweedFS's S3 that needs no signature, in the same folder",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers `GET /images/<key>` on a port of 127.0.0.1."""

    name: str
    port: int
    processes: Callable[[], list[psutil.Process]]
    """Everything that works for it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every request carries."""

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def etag(self, path: str) -> str | None:
        """The ETag of a path, or None. Raises OSError if the answer is not 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers=dict(self.headers))
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise OSError(f"{self.name} answered {answer.status} for {path}")
            return answer.getheader("ETag")
        finally:
            connection.close()


def path_of(key: str) -> str:
    """The path at which every target has the image. The benchmark's keys need no encoding."""
    return f"/images/{key}"
