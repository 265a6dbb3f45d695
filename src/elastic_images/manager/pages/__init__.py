"""The manager's pages: made by the server, nicer with a script, whole without one."""

from __future__ import annotations

from elastic_images.manager.pages.account import account_pages
from elastic_images.manager.pages.answers import Answers
from elastic_images.manager.pages.dashboard import dashboard_pages
from elastic_images.manager.pages.error_pages import render_error
from elastic_images.manager.pages.images import image_pages
from elastic_images.manager.pages.layout import dress
from elastic_images.manager.pages.pool import pool_pages
from elastic_images.manager.pages.records import record_pages
from elastic_images.manager.pages.settings import settings_pages
from elastic_images.manager.pages.tokens import token_pages
from elastic_images.manager.pages.users import user_pages

__all__ = [
    "Answers",
    "account_pages",
    "dashboard_pages",
    "dress",
    "image_pages",
    "pool_pages",
    "record_pages",
    "render_error",
    "settings_pages",
    "token_pages",
    "user_pages",
]
