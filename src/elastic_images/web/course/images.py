"""The course API's image calls."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from flask import Blueprint, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import EmptyBody, InvalidRequest
from elastic_images.core.image_facts import Actor
from elastic_images.core.keys import check_key
from elastic_images.http.gone_callers import gone_of
from elastic_images.storage.client import StorageClient
from elastic_images.web.bodies import multipart
from elastic_images.web.course.answer import success
from elastic_images.web.request_path import key_in_path
from elastic_images.web.services import Plane

_PAGE = 1000
_MAX_FORM_OVERHEAD_BYTES = 256 * 1024
_MAX_PARTS = 16


def add_image_calls(api: Blueprint, images: StorageClient, plane: Plane, max_image_bytes: int) -> None:
    """Register `upload`, `list_keys`, `key` and `delete_all`."""

    @api.post("/api/upload")
    @api.post("/api/upload/")
    @rule("write")
    def upload() -> dict[str, Any]:
        with multipart.parts(
            request,
            max_body_bytes=max_image_bytes + _MAX_FORM_OVERHEAD_BYTES,
            max_file_bytes=max_image_bytes,
            max_parts=_MAX_PARTS,
        ) as form:
            key, file = _key_and_file(list(form))
            images.put(
                key, file.stream, file.size_bytes, actor=current_principal().actor(), gone=gone_of(request.environ)
            )
        return success(key=key)

    @api.post("/api/list_keys")
    @api.post("/api/list_keys/")
    @rule("read")
    def list_keys() -> dict[str, Any]:
        return success(keys=_all_keys(images, current_principal().actor()))

    @api.post("/api/key/<rest:_path>")
    @rule("read")
    def key(_path: str) -> dict[str, Any]:
        wanted = key_in_path(request.environ, "/api/key/", trailing_slash=True)
        return success(
            key=wanted, content=b64encode(plane.read_whole(wanted, current_principal().actor()).body).decode()
        )

    @api.post("/api/delete_all")
    @api.post("/api/delete_all/")
    @rule("admin")
    def delete_all() -> dict[str, Any]:
        images.delete_all(actor=current_principal().actor())
        return success()


def _key_and_file(parts: list[multipart.Part]) -> tuple[str, multipart.FilePart]:
    """The form's one key and one file. Raises InvalidRequest, InvalidKey, EmptyBody."""
    keys = [part.value for part in parts if isinstance(part, multipart.FieldPart) and part.name == "key"]
    files = [part for part in parts if isinstance(part, multipart.FilePart) and part.name == "file"]
    if len(keys) != 1:
        raise InvalidRequest("The form needs exactly one field 'key'.")
    if len(files) != 1:
        raise InvalidRequest("The form needs exactly one file 'file'.")
    if files[0].size_bytes == 0:
        raise EmptyBody("The file is empty.")
    return check_key(keys[0]), files[0]


def _all_keys(images: StorageClient, actor: Actor) -> list[str]:
    keys: list[str] = []
    cursor: str | None = None
    while True:
        page = images.page(actor=actor, limit=_PAGE, cursor=cursor)
        keys += [metadata["key"] for metadata in page["images"]]
        cursor = page["next"]
        if cursor is None:
            return keys
