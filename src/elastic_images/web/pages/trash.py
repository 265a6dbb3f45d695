"""The trash: deleted and replaced images, and the buttons that bring them back."""

from __future__ import annotations

import unicodedata

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import InvalidRequest, PreconditionFailed
from elastic_images.core.keys import check_key, quote_key
from elastic_images.storage.client import StorageClient
from elastic_images.web.rest.api import checked_prefix
from elastic_images.web.rest.trash import restore_newest

_PAGE = 50
_TAKEN = "There is an image under this key again. The deleted one is in the trash."
_MAX_DIGITS = 16


def trash_pages(images: StorageClient) -> Blueprint:
    """The routes."""
    pages = Blueprint("trash_pages", __name__)

    @pages.get("/trash")
    @rule("write")
    def trash() -> str:
        prefix = checked_prefix(unicodedata.normalize("NFC", request.args.get("prefix", "")))
        cursor = request.args.get("cursor") or None
        page = images.trash(actor=current_principal().actor(), prefix=prefix, limit=_PAGE, cursor=cursor)
        return render_template("trash.html", page=page, prefix=prefix, is_first=cursor is None)

    @pages.post("/trash/restore")
    @rule("write")
    def restore() -> Response:
        entry = request.form.get("id", "")
        if not (entry.isascii() and entry.isdigit() and len(entry) <= _MAX_DIGITS):
            raise InvalidRequest("id must be a whole number.")
        image = images.restore(int(entry), actor=current_principal().actor())
        return redirect(f"/view/{quote_key(image['key'])}?done=restored", 303)

    @pages.post("/trash/undo")
    @rule("write")
    def undo() -> Response:
        """Bring back what was just deleted, unless there is another image under its key by now."""
        key = check_key(request.form.get("key", ""))
        try:
            restore_newest(images, key, if_none_match="*")
        except PreconditionFailed:
            raise PreconditionFailed(_TAKEN) from None
        return redirect(f"/view/{quote_key(key)}?done=restored", 303)

    return pages
