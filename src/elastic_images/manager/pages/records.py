"""What happened: decisions, resizes, events, newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, render_template

from elastic_images.accounts.guard import rule
from elastic_images.core.errors import ElasticImagesError
from elastic_images.manager.arguments import page_of_records
from elastic_images.manager.event_log import happenings, verdicts
from elastic_images.manager.services import PoolControl, Record

Answer = str | tuple[str, int]
_LOOK_BACK = 30
"""So many events before the oldest one shown are looked at, to tell a wanted end of a node from a fault."""


def record_pages(pool: PoolControl) -> Blueprint:
    """The routes."""
    pages = Blueprint("records", __name__)

    @pages.get("/decisions")
    @rule("admin")
    def decisions() -> Answer:
        return _page("decisions.html", pool.decisions, lambda records: {"verdicts": verdicts(records)})

    @pages.get("/resizes")
    @rule("admin")
    def resizes() -> Answer:
        return _page("resizes.html", pool.resizes, lambda records: {"resizes": records})

    @pages.get("/events")
    @rule("admin")
    def events() -> Answer:
        def told(records: list[Record]) -> dict[str, Any]:
            first = int(records[-1]["id"]) if records else 0
            earlier = pool.events(_LOOK_BACK, first) if first > 1 else []
            return {"events": [event for event in happenings(records + earlier) if event.id >= first]}

        return _page("events.html", pool.events, told)

    return pages


def _page(
    template: str,
    ask: Callable[[int, int | None], list[Record]],
    told: Callable[[list[Record]], dict[str, Any]],
) -> Answer:
    limit, before = page_of_records()
    try:
        records = ask(limit, before)
        shown = told(records)
    except ElasticImagesError as error:
        return render_template(template, older=None, before=before, trouble=error, **told([])), error.status
    older = records[-1].get("id") if len(records) == limit else None
    return render_template(template, older=older, before=before, trouble=None, **shown)
