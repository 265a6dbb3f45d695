"""One image: details, cache status, and the forms to hide, rename, replace and delete it."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import Conflict, Forbidden, InvalidKey, InvalidRequest, PreconditionFailed
from elastic_images.core.image_facts import ImageMetadata
from elastic_images.core.keys import check_new_key, quote_key
from elastic_images.core.visibility import parse_visibility
from elastic_images.http.gone_callers import gone_of
from elastic_images.storage.client import StorageClient
from elastic_images.web.bodies import multipart
from elastic_images.web.pages.listing import Listing
from elastic_images.web.pages.share import (
    LASTING,
    SHARE_FORMATS,
    ShareChoice,
    cache_answer,
    lasting_seconds,
    share_texts,
)
from elastic_images.web.request_path import key_in_path
from elastic_images.web.rest.api import with_place
from elastic_images.web.rest.links import LinkMaker
from elastic_images.web.services import Plane

_MAX_FORM_OVERHEAD_BYTES = 64 * 1024
_CHANGED = "Someone else has replaced or deleted this image. Reload the page."


def image_pages(
    images: StorageClient, plane: Plane, maker: LinkMaker, max_image_bytes: int, widths: Collection[int]
) -> Blueprint:
    """The routes. `widths`: those that visitors may ask for."""
    pages = Blueprint("image", __name__)

    @pages.get("/view/<rest:_path>")
    @rule("read")
    def view(_path: str) -> str:
        return page(key_in_path(request.environ, "/view/"))

    def page(key: str, **extra: Any) -> str:
        actor = current_principal().actor()
        image = with_place(images.metadata(key, actor=actor), plane)
        listing = Listing.of(request.args)
        if not key.startswith(listing.prefix):
            raise InvalidRequest("The image's key does not start with the prefix.")
        choice = ShareChoice.of(image, request.args, widths)
        return render_template(
            "image.html",
            image=image,
            listing=listing,
            beside=images.neighbours(key, actor=actor, prefix=listing.prefix, order=listing.order),
            may_change=_may_change(image),
            cached=cache_answer(plane, key, actor) if "ask" in request.args else None,
            share=share_texts(image, choice),
            choice=choice,
            share_formats=SHARE_FORMATS,
            lasting=LASTING,
            max_image_bytes=max_image_bytes,
            **extra,
        )

    @pages.post("/sign/<rest:_path>")
    @rule("read")
    def sign(_path: str) -> str | tuple[str, int]:
        key, form = key_in_path(request.environ, "/sign/"), request.form
        images.metadata(key, actor=current_principal().actor())
        parameters = {name: form[name] for name in ("w", "format") if form.get(name)}
        try:
            made = maker.link(key, parameters, lasting_seconds(form))
        except InvalidRequest as error:
            return page(key, signing=form, sign_error=str(error)), error.status
        return page(key, signing=form, signed_link=made["url"])

    @pages.post("/visibility/<rest:_path>")
    @rule("write")
    def set_visibility(_path: str) -> Response:
        key = key_in_path(request.environ, "/visibility/")
        images.set_visibility(key, parse_visibility(request.form.get("visibility")), actor=current_principal().actor())
        return redirect(f"/view/{quote_key(key)}?done=visibility", 303)

    @pages.post("/rename/<rest:_path>")
    @rule("write")
    def rename(_path: str) -> Response | tuple[str, int]:
        key, new_key = key_in_path(request.environ, "/rename/"), request.form.get("key", "").strip()
        try:
            to = check_new_key(unicodedata.normalize("NFC", new_key))
            if to != key:
                images.move(key, to, actor=current_principal().actor())
        except (InvalidKey, Conflict) as error:
            return page(key, new_key=new_key, rename_error=str(error)), error.status
        return redirect(f"/view/{quote_key(to)}?done=renamed", 303)

    @pages.post("/replace/<rest:_path>")
    @rule("write")
    def replace(_path: str) -> Response:
        key = key_in_path(request.environ, "/replace/")
        with multipart.parts(
            request,
            max_body_bytes=max_image_bytes + _MAX_FORM_OVERHEAD_BYTES,
            max_file_bytes=max_image_bytes,
            max_parts=4,
        ) as form:
            # Without an ETag, require that the image exists: a stale form must not restore a deleted image.
            etag = "*"
            for part in form:
                if isinstance(part, multipart.FilePart) and part.size_bytes:
                    _replace(images, key, part, etag)
                    return redirect(f"/view/{quote_key(key)}?done=replaced", 303)
                if isinstance(part, multipart.FieldPart) and part.name == "etag":
                    etag = part.value or etag
        raise InvalidRequest("Choose a file.")

    @pages.get("/delete/<rest:_path>")
    @rule("write")
    def ask_to_delete(_path: str) -> str:
        image = images.metadata(key_in_path(request.environ, "/delete/"), actor=current_principal().actor())
        if not _may_change(image):
            raise Forbidden("This image belongs to another user.")
        return render_template("delete.html", image=image)

    @pages.post("/delete/<rest:_path>")
    @rule("write")
    def delete(_path: str) -> Response:
        key, etag = key_in_path(request.environ, "/delete/"), request.form.get("etag") or None
        try:
            images.delete(key, actor=current_principal().actor(), if_match=etag)
        except PreconditionFailed:
            raise PreconditionFailed(_CHANGED) from None
        return redirect(f"/?{urlencode({'done': 'deleted', 'undo': key}, safe='/')}", 303)

    return pages


def _replace(images: StorageClient, key: str, file: multipart.FilePart, etag: str) -> None:
    try:
        actor, gone = current_principal().actor(), gone_of(request.environ)
        images.put(key, file.stream, file.size_bytes, actor=actor, if_match=etag, gone=gone)
    except PreconditionFailed:
        raise PreconditionFailed(_CHANGED) from None


def _may_change(image: ImageMetadata) -> bool:
    """Whether to show the forms. Storage decides in the end."""
    me = current_principal()
    my_name = None if me.user_id is None else me.name
    return me.is_admin or ("write" in me.scopes and image["owner"] == my_name)
