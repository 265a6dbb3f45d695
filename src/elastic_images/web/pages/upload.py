"""The upload form: many files, each stored as soon as it has arrived."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import ElasticImagesError, EmptyBody, InvalidRequest, PreconditionFailed
from elastic_images.core.keys import check_key, quote_key
from elastic_images.core.visibility import Visibility, may_see, parse_visibility
from elastic_images.http.gone_callers import gone_of
from elastic_images.storage.client import StorageClient
from elastic_images.web.bodies import multipart

MAX_FILES = 64


@dataclass(frozen=True, slots=True)
class FileResult:
    """The outcome for one file: `error` is None if it was stored."""

    name: str
    key: str
    error: ElasticImagesError | None


def upload_pages(images: StorageClient, max_image_bytes: int, default_visibility: Visibility) -> Blueprint:
    """The routes. `default_visibility` is chosen at first."""
    pages = Blueprint("upload", __name__)

    def page(uploads: list[FileResult], folder: str, visibility: str = "") -> str:
        return render_template(
            "upload.html",
            uploads=uploads,
            folder=folder,
            visibility=visibility or default_visibility,
            max_image_bytes=max_image_bytes,
        )

    @pages.get("/upload")
    @rule("write")
    def form() -> str:
        return page([], request.args.get("folder", ""))

    @pages.post("/upload")
    @rule("write")
    def upload() -> Response | tuple[str, int]:
        with multipart.parts(
            request,
            max_body_bytes=MAX_FILES * max_image_bytes,
            max_file_bytes=max_image_bytes,
            max_parts=MAX_FILES + 8,
        ) as parts:
            fields: dict[str, str] = {}
            uploads = list(_store_each(images, parts, fields))
        if not uploads:
            raise InvalidRequest("Choose a file.")
        errors = [upload.error for upload in uploads if upload.error]
        if errors:
            return page(uploads, fields.get("folder", ""), fields.get("visibility", "")), errors[0].status
        me, visibility = current_principal().actor(), parse_visibility(fields.get("visibility") or default_visibility)
        if len(uploads) == 1 and may_see(me, visibility, me.user):
            return redirect(f"/view/{quote_key(uploads[0].key)}?done=stored", 303)
        return redirect("/?done=uploaded", 303)

    return pages


def key_for(filename: str, folder: str) -> str:
    """The key of an uploaded file: its name, inside `folder` if given.

    Normalises to NFC: macOS sends decomposed file names.

    Raises:
        InvalidKey: the result is not a valid key.
    """
    last = filename.replace("\\", "/").rpartition("/")[2]
    folder = folder.strip().strip("/")
    return check_key(unicodedata.normalize("NFC", f"{folder}/{last}" if folder else last))


def _store_each(images: StorageClient, parts: Iterator[multipart.Part], fields: dict[str, str]) -> Iterator[FileResult]:
    """Store the files as they arrive. Fields come before files and are collected in `fields`."""
    for part in parts:
        if isinstance(part, multipart.FieldPart):
            fields[part.name] = part.value
            continue
        with part.stream:
            # With no file chosen, browsers send one without name or content.
            if part.filename or part.size_bytes:
                yield _store(images, part, fields)


def _store(images: StorageClient, file: multipart.FilePart, fields: dict[str, str]) -> FileResult:
    key = ""
    try:
        key = key_for(file.filename, fields.get("folder", ""))
        if file.size_bytes == 0:
            raise EmptyBody("The file is empty.")
        actor, gone = current_principal().actor(), gone_of(request.environ)
        visibility = parse_visibility(fields["visibility"]) if fields.get("visibility") else None
        put = partial(images.put, key, file.stream, file.size_bytes, actor=actor, gone=gone)
        try:
            put(visibility=visibility, if_none_match="*")
        except PreconditionFailed:
            if not fields.get("replace"):
                raise
            # What is replaced keeps its visibility: the form's is not about an image that nobody has seen.
            file.stream.seek(0)
            put()
    except PreconditionFailed:
        message = "An image with this name already exists. Tick Replace or rename the file, then upload it again."
        return FileResult(file.filename, key, PreconditionFailed(message))
    except ElasticImagesError as error:
        return FileResult(file.filename, key, error)
    return FileResult(file.filename, key, None)
