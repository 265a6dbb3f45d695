"""The manager's pages: rendered by the server, and complete without scripts."""

from __future__ import annotations

from elastic_images.manager.pages.account import account_pages
from elastic_images.manager.pages.answers import Answers
from elastic_images.manager.pages.dashboard import dashboard_pages
from elastic_images.manager.pages.error_pages import render_error
from elastic_images.manager.pages.images import image_pages
from elastic_images.manager.pages.layout import install_layout
from elastic_images.manager.pages.pool import pool_pages
from elastic_images.manager.pages.records import record_pages
from elastic_images.manager.pages.settings import settings_pages
from elastic_images.manager.pages.tokens import token_pages
from elastic_images.manager.pages.users import user_pages

__all__ = [
    "Answers",
    "account_pages",
    "dashboard_pages",
    "image_pages",
    "install_layout",
    "pool_pages",
    "record_pages",
    "render_error",
    "settings_pages",
    "token_pages",
    "user_pages",
]
