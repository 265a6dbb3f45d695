"""The first page: health, the pool, charts of the last half hour, and recent events."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, request

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import ElasticImagesError
from elastic_images.manager.charts import CHARTS, MINUTES, Figures, figures
from elastic_images.manager.event_log import shown_events
from elastic_images.manager.health import assess, worst
from elastic_images.manager.overview import Overview

_SHOWN_EVENTS = 8


def dashboard_pages(
    pool: AutoscalerClient, get_overview: Callable[[], Overview], clock: Callable[[], float]
) -> Blueprint:
    """The routes. `get_overview` gathers what is shown."""
    pages = Blueprint("dashboard", __name__)

    @pages.get("/")
    def dashboard() -> str:
        overview, now = get_overview(), clock()
        parts = assess(overview, now)
        # Charts are drawn by a script; only readers without one need the table in the page.
        with_table = "HX-Request" not in request.headers and overview.pool is not None
        return render_template(
            "dashboard.html",
            overview=overview,
            parts=parts,
            level=worst(parts),
            now=now,
            charts=CHARTS,
            minutes=MINUTES,
            figures=_figures(pool)[0] if with_table else None,
            events=shown_events(overview.events)[:_SHOWN_EVENTS],
        )

    @pages.get("/charts")
    def table() -> str | tuple[str, int]:
        found, error = _figures(pool)
        page = render_template("charts.html", figures=found, charts=CHARTS, minutes=MINUTES, error=error)
        return (page, error.status) if error else page

    return pages


def _figures(pool: AutoscalerClient) -> tuple[Figures | None, ElasticImagesError | None]:
    try:
        return figures(pool), None
    except ElasticImagesError as error:
        return None, error
