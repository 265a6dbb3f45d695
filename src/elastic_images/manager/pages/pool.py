"""The pool: its size, mode and capacity, and clearing the caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidRequest
from elastic_images.core.pool_config import CACHE_POLICIES, MODES, ScalingConfig
from elastic_images.core.pool_document import ConfigDocument
from elastic_images.manager.explain import explanation, problems
from elastic_images.manager.overview import Overview
from elastic_images.manager.pages.answers import Answers
from elastic_images.manager.setting_labels import LABELS
from elastic_images.manager.sizes import sizes

_PLACE = "/pool"
_FORMS = {
    "scaling": ("mode", "expand_ratio", "shrink_ratio", "max_miss", "min_miss"),
    "memory": ("cache_mb", "policy", "assignment"),
}
_STEPS = {"add": 1, "remove": -1}


def pool_pages(
    pool: AutoscalerClient, get_overview: Callable[[], Overview], answers: Answers, clock: Callable[[], float]
) -> Blueprint:
    """The routes. `get_overview` gathers what is shown."""
    pages = Blueprint("pool", __name__)

    @pages.get(_PLACE)
    def shown() -> str:
        overview = get_overview()
        return render_template(
            "pool.html",
            overview=overview,
            sizes=sizes(overview.pool),
            modes=MODES,
            policies=CACHE_POLICIES,
            labels=LABELS,
            now=clock(),
            judge=_judge,
            explain=lambda config: explanation(_readable(config)),
        )

    @pages.post("/pool/size")
    def resize() -> Response:
        try:
            nodes = _update(pool, {"num_nodes": _wanted_size(pool)})["num_nodes"]
        except ElasticImagesError as error:
            return answers.refuse(_PLACE, error, form="size")
        return answers.carry_out(_PLACE, lambda: None, f"{nodes} node{'' if nodes == 1 else 's'} wanted; resizing.")

    @pages.post("/pool/config")
    def configure() -> Response:
        form = request.form.get("form", "")
        names = _FORMS.get(form) or tuple(name for names in _FORMS.values() for name in names)
        changes = {name: request.form[name].strip() for name in names if name in request.form}
        return answers.carry_out(_PLACE, lambda: _update(pool, changes), "Settings saved.", form=form, typed=changes)

    @pages.post("/pool/clear")
    def clear() -> Response:
        return answers.carry_out(_PLACE, lambda: _clear(pool), "All caches cleared.")

    return pages


def _update(pool: AutoscalerClient, typed: Mapping[str, str]) -> ConfigDocument:
    """Change settings. Raises InvalidRequest, by the labels of the form."""
    found = problems(_readable(pool.config()), typed)
    if found:
        raise InvalidRequest(" ".join(found.values()))
    return pool.update_config(typed)


def _wanted_size(pool: AutoscalerClient) -> str:
    step = _STEPS.get(request.form.get("step", ""))
    if step is None:
        return request.form.get("num_nodes", "").strip()
    return str(pool.config()["num_nodes"] + step)


def _clear(pool: AutoscalerClient) -> None:
    failed = pool.clear()["failed"]
    if failed:
        raise Conflict(f"{', '.join(failed)} did not respond and may still hold images; the other caches are empty.")


def _judge(config: ConfigDocument, typed: dict[str, str]) -> dict[str, str]:
    """What is wrong with the typed settings, by field. Empty if nothing was typed."""
    return problems(_readable(config), typed) if typed else {}


def _readable(config: ConfigDocument) -> ScalingConfig:
    """The pool's settings; the defaults if they are unreadable because someone edited the database."""
    try:
        return ScalingConfig.from_json({name: value for name, value in config.items() if value is not None})
    except InvalidRequest:
        return ScalingConfig()
