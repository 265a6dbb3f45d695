"""Storage's data plane: serves image bytes in front of Flask's dispatch.

Every cache miss comes here, and the dispatch would cost more than the read itself.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from elastic_images.core.entry import Headers
from elastic_images.core.errors import InvalidKey, Unauthenticated
from elastic_images.core.image_facts import Actor
from elastic_images.core.keys import check_key
from elastic_images.core.protocol import PROTOCOL_HEADER, knows_visibility
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import preset
from elastic_images.http.entries import fact_headers
from elastic_images.http.problems import is_database_error, problem_answer, public_error
from elastic_images.storage.catalog.catalog import CatalogImage
from elastic_images.storage.image_reader import ImageReader
from elastic_images.storage.renditions import StoredRenditions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

IMAGES = "/internal/images/"
_PROTOCOL = "HTTP_" + PROTOCOL_HEADER.upper().replace("-", "_")
_VISITOR = Actor(None, "")


class ReadPlane:
    """WSGI middleware: answers `GET|HEAD /internal/images/<key>` and passes everything else on."""

    def __init__(
        self,
        reader: ImageReader,
        renditions: StoredRenditions,
        token: str,
        behind: WSGIApplication,
        on_database_failure: Callable[[], object],
    ) -> None:
        self._reader = reader
        self._renditions = renditions
        self._expected = f"Bearer {token}".encode()
        self._behind = behind
        self._on_database_failure = on_database_failure

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer in the request's own thread."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method not in ("GET", "HEAD") or not path.startswith(IMAGES):
            return self._behind(environ, start_response)
        body: Iterable[bytes]
        try:
            self._check(environ)
            key = check_key(_decoded(path[len(IMAGES) :]))
            viewer = _viewer(environ)
            if method == "GET":
                headers, body = self._read(key, environ, viewer)
            else:
                headers, body = _headers(self._reader.find(key, viewer)), []
            status = "200 OK"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as the app behind tells it
            if is_database_error(error):
                self._on_database_failure()
            status, headers, told = problem_answer(public_error(error, uuid.uuid4().hex))
            body = [told] if method == "GET" else []
        start_response(status, headers)
        return body

    def _check(self, environ: WSGIEnvironment) -> None:
        if not hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), self._expected):
            raise Unauthenticated("This is an internal service; it needs the internal token.")

    def _read(self, key: str, environ: WSGIEnvironment, viewer: Actor | None) -> tuple[Headers, Iterable[bytes]]:
        query = environ.get("QUERY_STRING")
        asked = dict(parse_qsl(query)) if query else {}
        if "spec" in asked:
            spec = RenditionSpec.parse_canonical(asked["spec"])
        elif "rendition" in asked:  # what processes of protocol 1 send
            spec = preset(asked["rendition"])
        else:
            image, body = self._reader.open(key, viewer)
            return _headers(image), body
        image, original, made = self._renditions.make(key, spec, viewer)
        return _headers(image, original), [made]


def _viewer(environ: WSGIEnvironment) -> Actor | None:
    """For whom the caller asks. None: the caller judges who sees it, which those of protocol 2 do not."""
    told = environ.get("HTTP_X_ACTOR")
    if told is not None:
        return Actor.from_header(told)
    return None if knows_visibility(environ.get(_PROTOCOL)) else _VISITOR


def _decoded(path: str) -> str:
    try:
        return path.encode("latin-1").decode()
    except UnicodeError:
        raise InvalidKey("The key in the path must be percent-encoded UTF-8.") from None


def _headers(image: CatalogImage, original: str | None = None) -> Headers:
    facts = image.facts
    return [
        ("Content-Type", facts.content_type),
        ("Content-Length", str(facts.size_bytes)),
        ("ETag", facts.etag),
        ("Last-Modified", formatdate(facts.updated_at, usegmt=True)),
        *fact_headers(facts.version, facts.updated_at, facts.visibility, image.owner_id, original),
    ]
