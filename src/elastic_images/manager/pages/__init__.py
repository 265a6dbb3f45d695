"""The manager's pages: plain HTML that works without a script."""

from __future__ import annotations

from elastic_images.manager.pages.error_pages import render_error
from elastic_images.manager.pages.login import login_pages
from elastic_images.manager.pages.look import dress
from elastic_images.manager.pages.overview import overview_pages
from elastic_images.manager.pages.records import record_pages
from elastic_images.manager.pages.settings import settings_pages
from elastic_images.manager.pages.tokens import token_pages
from elastic_images.manager.pages.users import user_pages

__all__ = [
    "dress",
    "login_pages",
    "overview_pages",
    "record_pages",
    "render_error",
    "settings_pages",
    "token_pages",
    "user_pages",
]
