"""The list of images."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from elastic_images.accounts.flask_guard import rule
from elastic_images.core.errors import InvalidRequest
from elastic_images.web.rest import checked_prefix
from elastic_images.web.services import Images

_PAGE = 48
_ORDERS = ("newest", "key")


def gallery_pages(images: Images) -> Blueprint:
    """The routes."""
    pages = Blueprint("gallery", __name__)

    @pages.get("/")
    @rule("read")
    def gallery() -> str:
        prefix = checked_prefix(request.args.get("prefix"))
        order = request.args.get("order") or _ORDERS[0]
        if order not in _ORDERS:
            raise InvalidRequest(f"order must be {' or '.join(_ORDERS)}.")
        if prefix:
            order = "key"  # the only order in which storage finds the keys with a prefix
        cursor = request.args.get("cursor") or None
        page = images.page(prefix=prefix, limit=_PAGE, cursor=cursor, order=order)
        return render_template("gallery.html", page=page, prefix=prefix, order=order, is_first=cursor is None)

    return pages
