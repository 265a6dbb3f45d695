"""Decisions, resizes and events, newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, render_template

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.events import EventRecord
from elastic_images.core.pool_document import DecisionRecord, ResizeRecord
from elastic_images.manager.arguments import page_of_records
from elastic_images.manager.decision_groups import grouped
from elastic_images.manager.event_log import shown_events

_Record = TypeVar("_Record", DecisionRecord, ResizeRecord, EventRecord)
Answer = str | tuple[str, int]
_LOOK_BACK = 30
"""How many events before the oldest one shown are read, to tell a requested stop from a fault."""


def record_pages(pool: AutoscalerClient) -> Blueprint:
    """The routes."""
    pages = Blueprint("records", __name__)

    @pages.get("/decisions")
    def decisions() -> Answer:
        return _page("decisions.html", pool.decisions, lambda records: {"groups": grouped(records)})

    @pages.get("/resizes")
    def resizes() -> Answer:
        return _page("resizes.html", pool.resizes, lambda records: {"resizes": records})

    @pages.get("/events")
    def events() -> Answer:
        def shown(records: list[EventRecord]) -> dict[str, Any]:
            first = records[-1]["id"] if records else 0
            earlier = pool.events(_LOOK_BACK, first) if first > 1 else []
            return {"events": [event for event in shown_events(records + earlier) if event.id >= first]}

        return _page("events.html", pool.events, shown)

    return pages


def _page(
    template: str,
    ask: Callable[[int, int | None], list[_Record]],
    shown: Callable[[list[_Record]], dict[str, Any]],
) -> Answer:
    limit, before = page_of_records()
    try:
        records = ask(limit, before)
        values = shown(records)
    except ElasticImagesError as error:
        return render_template(template, older=None, before=before, trouble=error, **shown([])), error.status
    older = records[-1]["id"] if len(records) == limit else None
    return render_template(template, older=older, before=before, trouble=None, **values)
