"""Storage's internal API on Flask (docs/internal-api.md, "Storage"); `ReadPlane` answers image reads in front of it."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, get_args

from flask import Blueprint, Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry

from elastic_images.core.errors import ElasticImagesError, Forbidden, InvalidRequest, TooLarge, Unavailable
from elastic_images.core.image_facts import Actor
from elastic_images.core.keys import check_key, check_new_key
from elastic_images.core.protocol import PROTOCOL_HEADER, knows_visibility
from elastic_images.core.restored_facts import KEEP_FACTS_HEADER, KEEP_OWNER_ID_HEADER, RestoredFacts
from elastic_images.core.upload_nonce import UPLOAD_NONCE_HEADER, UploadNonce
from elastic_images.core.visibility import VISIBILITY_HEADER, Visibility, parse_visibility
from elastic_images.http.base_app import base_app
from elastic_images.http.json_body import json_object, needed_text, texts
from elastic_images.http.problems import is_database_error
from elastic_images.http.readiness import ReadyGate
from elastic_images.imaging.imaging import Imaging
from elastic_images.metrics.counters import Counter, Counters
from elastic_images.metrics.rendition_figures import RenditionFigures
from elastic_images.settings import Settings
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.batch import parse_operations
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.listing import DEFAULT_LIMIT, Order
from elastic_images.storage.catalog.trash import Trash
from elastic_images.storage.conditions import Conditions
from elastic_images.storage.image_reader import ImageReader
from elastic_images.storage.read_plane import ReadPlane
from elastic_images.storage.refusals import Refusals
from elastic_images.storage.renditions import StoredRenditions
from elastic_images.storage.spool import DIGEST_CHARACTERS
from elastic_images.storage.upkeep.scrubber import Scrubber
from elastic_images.storage.write_path import WritePath

_log = logging.getLogger(__name__)
ACTOR_HEADER = "X-Actor"
MAX_DIGESTS = 1000
_WRITE_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_DIGITS = 18


@dataclass(frozen=True)
class StorageServices:
    """The storage app's collaborators."""

    catalog: Catalog
    trash: Trash
    reader: ImageReader
    bad_objects: BadObjects
    scrubber: Scrubber
    imaging: Imaging
    writes: WritePath
    pool: Blueprint
    """The routes where pool members register and poll (`pool.member_routes`)."""
    registry: CollectorRegistry
    counters: Counters
    ready: ReadyGate
    refusals: Refusals


def create_app(services: StorageServices, settings: Settings) -> Flask:
    """Make the storage app. Starts nothing."""
    database_failed = services.counters.counter("database_failures").increment
    app = base_app(
        __name__,
        internal_token=settings.internal_token,
        ready=services.ready,
        registry=services.registry,
        drain_bytes=settings.max_image_bytes + DIGEST_CHARACTERS,
        on_database_failure=database_failed,
    )
    app.url_map.merge_slashes = False
    app.register_blueprint(services.pool)
    _list_routes(app, services.catalog, services.reader)
    _change_routes(app, services.writes, services.counters)
    _health_routes(app, services)
    _write_routes(app, services.writes, services.counters, services.refusals)
    _trash_routes(app, services.trash, services.writes)
    renditions = StoredRenditions(services.reader, services.imaging, RenditionFigures(services.counters))
    app.wsgi_app = ReadPlane(  # type: ignore[method-assign]  # Flask documents this for middleware
        services.reader, renditions, settings.internal_token, app.wsgi_app, database_failed
    )
    return app


def _list_routes(app: Flask, catalog: Catalog, reader: ImageReader) -> None:
    @app.get("/internal/metadata/<path:key>")
    def get_metadata(key: str) -> ResponseReturnValue:
        return jsonify(reader.facts(check_key(key), _viewer()).to_json())

    @app.get("/internal/metadata")
    def list_metadata() -> ResponseReturnValue:
        page = catalog.list_page(
            order=_order(request.args.get("order", "key")),
            prefix=request.args.get("prefix", ""),
            limit=_number("limit", request.args.get("limit", str(DEFAULT_LIMIT))),
            cursor=request.args.get("cursor"),
            actor=_viewer(),
            visibility=_visibility(request.args.get("visibility")),
        )
        return jsonify(page.to_json())

    @app.get("/internal/neighbours/<path:key>")
    def neighbours(key: str) -> ResponseReturnValue:
        order, prefix = _order(request.args.get("order", "key")), request.args.get("prefix", "")
        return jsonify(catalog.neighbours(check_key(key), order=order, prefix=prefix, actor=_viewer()))

    @app.post("/internal/have")
    def have() -> ResponseReturnValue:
        digests = texts(json_object(["digests"]), "digests")
        if len(digests) > MAX_DIGESTS:
            raise TooLarge(
                f"digests may have at most {MAX_DIGESTS:,} entries, not {len(digests):,}: ask several times."
            )
        if not all(_DIGEST.fullmatch(digest) for digest in digests):
            raise InvalidRequest("Each of digests must be a SHA-256 in 64 lower-case hexadecimal digits.")
        return jsonify({"keys": catalog.have(digests, _actor())})


def _health_routes(app: Flask, services: StorageServices) -> None:
    @app.get("/internal/usage")
    def usage() -> ResponseReturnValue:
        return jsonify({**services.catalog.usage(), **services.trash.usage(), **services.bad_objects.counts()})

    @app.get("/internal/bad_objects")
    def list_bad_objects() -> ResponseReturnValue:
        return jsonify(services.bad_objects.page(request.args.get("cursor")))

    @app.get("/internal/scrub")
    def scrub_status() -> ResponseReturnValue:
        return jsonify(services.scrubber.status())

    @app.post("/internal/scrub")
    def request_scrub() -> ResponseReturnValue:
        return jsonify(services.scrubber.request()), 202

    @app.get("/internal/health")
    def health() -> ResponseReturnValue:
        return jsonify(
            {
                "readiness": services.ready.look().to_json(),
                "figures": services.counters.read(),
                "refused_last_hour": services.refusals.last_hour(),
            }
        )


def _write_routes(app: Flask, writes: WritePath, counters: Counters, refusals: Refusals) -> None:
    uploads, upload_bytes = counters.counter("uploads"), counters.counter("upload_bytes")
    deletes = counters.counter("deletes")

    @app.put("/internal/images/<path:key>")
    def put_image(key: str) -> ResponseReturnValue:
        nonce = request.headers.get(UPLOAD_NONCE_HEADER)
        length = _number("X-Image-Length", request.headers.get("X-Image-Length", ""))
        announced = length + DIGEST_CHARACTERS
        if request.content_length not in (None, announced):
            raise InvalidRequest("Content-Length must be X-Image-Length + 64.")
        try:
            facts, created = writes.put(
                check_new_key(key),
                _Body(request.environ["wsgi.input"], announced),
                length,
                write_id=_write_id(),
                actor=_actor(),
                conditions=_conditions(),
                kept=_kept(),
                visibility=_visibility(request.headers.get(VISIBILITY_HEADER)),
                nonce=None if nonce is None else UploadNonce.parse(nonce),
            )
        except Exception as error:
            if isinstance(error, ElasticImagesError):
                refusals.note(error)
            elif is_database_error(error):
                refusals.note(Unavailable("The database does not answer."))
            raise
        uploads.increment()
        upload_bytes.add(length)
        return jsonify(facts.to_json()), 201 if created else 200

    @app.post("/internal/settle/<path:key>")
    def settle(key: str) -> ResponseReturnValue:
        facts, created = writes.settle(check_key(key), write_id=_write_id())
        return jsonify(facts.to_json()), 201 if created else 200

    @app.post("/internal/give_up")
    def give_up() -> ResponseReturnValue:
        writes.give_up(_write_id())
        return Response(status=204)

    @app.delete("/internal/images/<path:key>")
    def delete_image(key: str) -> ResponseReturnValue:
        writes.delete(check_key(key), write_id=_write_id(), actor=_actor(), conditions=_conditions())
        deletes.increment()
        return Response(status=204)

    @app.post("/internal/delete_all")
    def delete_all() -> ResponseReturnValue:
        return Response(_progress(_counted(writes.delete_all(_actor()), deletes)), mimetype="application/x-ndjson")


def _change_routes(app: Flask, writes: WritePath, counters: Counters) -> None:
    deletes = counters.counter("deletes")

    @app.post("/internal/images/<path:key>/move")
    def move(key: str) -> ResponseReturnValue:
        body = json_object(["to", "visibility"])
        facts = writes.move(
            check_key(key),
            check_new_key(needed_text(body, "to")),
            write_id=_write_id(),
            actor=_actor(),
            conditions=_conditions(),
            visibility=_visibility(body.get("visibility")),
        )
        return jsonify(facts.to_json())

    @app.post("/internal/images/<path:key>/visibility")
    def set_visibility(key: str) -> ResponseReturnValue:
        facts = writes.set_visibility(
            check_key(key),
            parse_visibility(json_object(["visibility"]).get("visibility")),
            write_id=_write_id(),
            actor=_actor(),
            conditions=_conditions(),
        )
        return jsonify(facts.to_json())

    @app.post("/internal/batch")
    def batch() -> ResponseReturnValue:
        operations = parse_operations(json_object(["operations"]).get("operations"))
        results = writes.batch(operations, batch_id=_write_id(), actor=_actor())
        deletes.add(sum(result["status"] == 204 for result in results))
        return jsonify({"results": results})


def _trash_routes(app: Flask, trash: Trash, writes: WritePath) -> None:
    @app.get("/internal/trash")
    def list_trash() -> ResponseReturnValue:
        page = trash.page(
            _actor(),
            prefix=request.args.get("prefix", ""),
            limit=_number("limit", request.args.get("limit", str(DEFAULT_LIMIT))),
            cursor=request.args.get("cursor"),
        )
        return jsonify(page)

    @app.get("/internal/trash/newest/<path:key>")
    def newest(key: str) -> ResponseReturnValue:
        return jsonify({"id": trash.newest(_actor(), check_key(key))})

    @app.post("/internal/trash/<entry>/restore")
    def restore(entry: str) -> ResponseReturnValue:
        facts, created = writes.restore(
            _number("id", entry), write_id=_write_id(), actor=_actor(), conditions=_conditions()
        )
        return jsonify(facts.to_json()), 201 if created else 200

    @app.post("/internal/trash/purge")
    def purge() -> ResponseReturnValue:
        if not _actor().admin:
            raise Forbidden("Only an administrator may empty the trash.")
        return jsonify({"purged": trash.purge(request.args.get("prefix", ""))})


def _counted(totals: Iterator[int], counter: Counter) -> Iterator[int]:
    """Pass on running totals, counting each increase."""
    before = 0
    for total in totals:
        counter.add(total - before)
        before = total
        yield total


def _progress(batches: Iterator[int]) -> Iterator[str]:
    """One line of JSON per batch. The status was sent already, so an error is a last line of its own."""
    deleted = 0
    try:
        for deleted in batches:
            yield json.dumps({"deleted": deleted}) + "\n"
    except Exception as error:  # noqa: BLE001 - the headers are sent, so nothing else can report it
        _log.warning("delete all: stopped after %d images: %r", deleted, error)
        reason = str(error) if isinstance(error, ElasticImagesError) else "Deleting stopped; see the log."
        yield json.dumps({"deleted": deleted, "error": reason}) + "\n"
    else:
        yield json.dumps({"deleted": deleted, "done": True}) + "\n"


class _Body:
    """A request's body of `length` bytes. Never reads beyond it, which could block."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int, /) -> bytes:
        chunk = self._stream.read(min(size, self._left))
        self._left = self._left - len(chunk) if chunk else 0
        return chunk


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidRequest(f"{name} must be a whole number.")
    return int(text)


def _order(text: str) -> Order:
    for order in get_args(Order):
        if text == order:
            return text  # type: ignore[return-value]  # one of the literals
    raise InvalidRequest("order must be key or newest.")


def _write_id() -> str:
    text = request.headers.get("X-Write-Id", "")
    if not _WRITE_ID.fullmatch(text):
        raise InvalidRequest("X-Write-Id must be 32 lower-case hexadecimal digits.")
    return text


def _conditions() -> Conditions:
    return Conditions.parse(request.headers.get("If-Match"), request.headers.get("If-None-Match"))


def _kept() -> RestoredFacts | None:
    text, owner_id = request.headers.get(KEEP_FACTS_HEADER), request.headers.get(KEEP_OWNER_ID_HEADER)
    if text is None:
        return None
    kept = RestoredFacts.parse(text, time.time())
    return kept if owner_id is None else replace(kept, owner_id=_number(KEEP_OWNER_ID_HEADER, owner_id))


def _visibility(text: object) -> Visibility | None:
    return None if text is None else parse_visibility(text)


def _viewer() -> Actor | None:
    """Who asks; None for our own processes. Those that know no visibility show what they get to anybody."""
    if ACTOR_HEADER in request.headers:
        return _actor()
    return None if knows_visibility(request.headers.get(PROTOCOL_HEADER)) else Actor(None, "")


def _actor() -> Actor:
    return Actor.from_header(request.headers.get(ACTOR_HEADER, ""))
