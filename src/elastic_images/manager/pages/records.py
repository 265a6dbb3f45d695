"""What happened: decisions, resizes, events, newest first."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template

from elastic_images.accounts.flask_guard import rule
from elastic_images.core.errors import ElasticImagesError
from elastic_images.manager.arguments import page_of_records
from elastic_images.manager.ports import PoolControl, Record

Answer = str | tuple[str, int]


def record_pages(pool: PoolControl) -> Blueprint:
    """The routes."""
    pages = Blueprint("records", __name__)

    @pages.get("/decisions")
    @rule("admin")
    def decisions() -> Answer:
        return _page("decisions.html", pool.decisions)

    @pages.get("/resizes")
    @rule("admin")
    def resizes() -> Answer:
        return _page("resizes.html", pool.resizes)

    @pages.get("/events")
    @rule("admin")
    def events() -> Answer:
        return _page("events.html", pool.events)

    return pages


def _page(template: str, ask: Callable[[int, int | None], list[Record]]) -> Answer:
    limit, before = page_of_records()
    try:
        records = ask(limit, before)
    except ElasticImagesError as error:
        return render_template(template, records=[], older=None, error=error), error.status
    older = records[-1].get("id") if len(records) == limit else None
    return render_template(template, records=records, older=older, error=None)
