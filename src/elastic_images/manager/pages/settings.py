"""The settings, and where each value comes from."""

from __future__ import annotations

from flask import Blueprint, render_template

from elastic_images.settings import SETTINGS, Settings


def settings_pages(settings: Settings) -> Blueprint:
    """The routes."""
    pages = Blueprint("settings", __name__)
    meanings = {setting.name: setting.meaning for setting in SETTINGS}

    @pages.get("/settings")
    def shown() -> str:
        return render_template("settings.html", settings=settings.public(), meanings=meanings)

    return pages
