"""One image: what it is, where it is, and the forms to replace and delete it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.flask_guard import current_principal, rule
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.keys import quote_key
from elastic_images.web import multipart
from elastic_images.web.request_path import key_in_path
from elastic_images.web.rest import with_place
from elastic_images.web.services import Images, Json, Plane

_MAX_FORM_OVERHEAD_BYTES = 64 * 1024


def image_pages(images: Images, plane: Plane, max_image_bytes: int) -> Blueprint:
    """The routes."""
    pages = Blueprint("image", __name__)

    @pages.get("/view/<rest:_path>")
    @rule("read")
    def view(_path: str) -> str:
        image = with_place(images.metadata(key_in_path(request.environ, "/view/")), plane)
        return render_template("image.html", image=image, may_change=_may_change(image))

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
            file = next((part for part in form if isinstance(part, multipart.FilePart) and part.size_bytes), None)
            if file is None:
                raise InvalidRequest("Choose a file first.")
            # Only where there is something: a form left open must not bring a deleted image back.
            images.put(key, file.stream, file.size_bytes, actor=current_principal().actor(), if_match="*")
        return redirect(f"/view/{quote_key(key)}?done=replaced", 303)

    @pages.post("/delete/<rest:_path>")
    @rule("write")
    def delete(_path: str) -> Response:
        images.delete(key_in_path(request.environ, "/delete/"), actor=current_principal().actor())
        return redirect("/?done=deleted", 303)

    return pages


def _may_change(image: Json) -> bool:
    """Whether to show the forms. Storage has the last word."""
    me = current_principal()
    my_name = None if me.user_id is None else me.name
    return me.is_admin or ("write" in me.scopes and image["owner"] == my_name)
