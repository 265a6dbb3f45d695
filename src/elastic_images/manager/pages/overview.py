"""The first page: the pool, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.flask_guard import current_principal, rule
from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.core.pool_config import CACHE_POLICIES, MODES
from elastic_images.manager.overview import gather
from elastic_images.manager.ports import ImageStore, PoolControl

CONFIRMATION = "delete all images"
_SETTINGS = ("mode", "cache_mb", "policy", "expand_ratio", "shrink_ratio", "max_miss", "min_miss")
_STEPS = {"add": 1, "remove": -1}

Answer = Response | tuple[str, int]


def overview_pages(pool: PoolControl, images: ImageStore) -> Blueprint:
    """The routes."""
    pages = Blueprint("overview", __name__)

    def page(error: ElasticImagesError | None = None) -> str:
        return render_template(
            "overview.html",
            overview=gather(pool, images),
            error=error,
            confirmation=CONFIRMATION,
            modes=MODES,
            policies=CACHE_POLICIES,
        )

    def carry_out(action: Callable[[], object], done: str) -> Answer:
        try:
            action()
        except ElasticImagesError as error:
            return page(error), error.status
        return redirect(f"/?done={done}", 303)

    @pages.get("/")
    @rule("admin")
    def overview() -> str:
        return page()

    @pages.post("/pool/config")
    @rule("admin")
    def configure() -> Answer:
        changes = {name: request.form[name].strip() for name in _SETTINGS if name in request.form}
        return carry_out(lambda: pool.update_config(changes), "configured")

    @pages.post("/pool/size")
    @rule("admin")
    def resize() -> Answer:
        return carry_out(lambda: pool.update_config({"num_nodes": _wanted_size(pool)}), "sized")

    @pages.post("/pool/clear")
    @rule("admin")
    def clear() -> Answer:
        return carry_out(pool.clear, "cleared")

    @pages.post("/images/delete_all")
    @rule("admin")
    def delete_all() -> Answer:
        return carry_out(lambda: _delete_all(images), "deleted")

    return pages


def _wanted_size(pool: PoolControl) -> object:
    step = _STEPS.get(request.form.get("step", ""))
    if step is None:
        return request.form.get("num_nodes", "").strip()
    return pool.config()["num_nodes"] + step


def _delete_all(images: ImageStore) -> None:
    if request.form.get("confirmation", "").strip().lower() != CONFIRMATION:
        raise InvalidRequest(f"Nothing was deleted. To delete every image, type: {CONFIRMATION}")
    images.delete_all(actor=current_principal().actor())
