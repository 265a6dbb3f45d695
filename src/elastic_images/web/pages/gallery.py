"""The gallery: a page of images, newest first or by key."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.image_facts import ImageMetadata
from elastic_images.storage.client import StorageClient
from elastic_images.web.pages.listing import Listing

_PAGE = 48
_MAX_PAGES = 20
_SMALL_PIXELS = 160
_LONG_SHAPE = 2.2


def gallery_pages(images: StorageClient, max_image_bytes: int) -> Blueprint:
    """The routes."""
    pages = Blueprint("gallery", __name__)

    @pages.get("/")
    @rule("read")
    def gallery() -> str:
        listing, me = Listing.of(request.args), current_principal()
        cursor = request.args.get("cursor") or None
        page = images.page(
            actor=me.actor(),
            prefix=listing.prefix,
            limit=_PAGE * _pages(request.args.get("pages")),
            cursor=cursor,
            order=listing.order,
        )
        return render_template(
            "gallery.html",
            page=page,
            listing=listing,
            is_first=cursor is None,
            # For everybody else it would tell of images that they may not see.
            usage=images.usage() if me.is_admin else None,
            shows_whole=shows_whole,
            max_image_bytes=max_image_bytes,
        )

    return pages


def shows_whole(image: ImageMetadata) -> bool:
    """Whether to show the whole image in its tile; cropping a long or small one would leave a blur."""
    short, long = sorted((image["width"], image["height"]))
    return bool(short < _SMALL_PIXELS or long > _LONG_SHAPE * short)


def _pages(text: str | None) -> int:
    """How many pages to show at once: after "Show more", a reload shows the same pages again."""
    if not text:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_PAGES)) and int(text)):
        raise InvalidRequest(f"pages must be a whole number from 1 to {_MAX_PAGES}.")
    return min(int(text), _MAX_PAGES)
