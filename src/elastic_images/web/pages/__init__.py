"""The HTML pages. All of them work without JavaScript."""

from __future__ import annotations

from elastic_images.web.pages.account import account_pages
from elastic_images.web.pages.docs import docs_pages
from elastic_images.web.pages.gallery import gallery_pages
from elastic_images.web.pages.image import image_pages
from elastic_images.web.pages.trash import trash_pages
from elastic_images.web.pages.upload import upload_pages

__all__ = ["account_pages", "docs_pages", "gallery_pages", "image_pages", "trash_pages", "upload_pages"]
