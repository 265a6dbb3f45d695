"""The stored images as a whole: how many there are, and deleting all of them."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from elastic_images.accounts.guard import current_principal
from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.manager.deletion import Deletion
from elastic_images.manager.pages.answers import Answers
from elastic_images.storage.client import StorageClient

CONFIRMATION = "delete all images"
_PLACE = "/images"


def image_pages(images: StorageClient, deletion: Deletion, answers: Answers) -> Blueprint:
    """The routes."""
    pages = Blueprint("images", __name__)

    @pages.get(_PLACE)
    def shown() -> str:
        usage = trouble = bad = scrub = None
        try:
            usage, scrub = images.usage(), images.scrub_status()
            bad = images.bad_images(request.args.get("cursor"))
        except ElasticImagesError as error:
            trouble = error
        return render_template(
            "images.html",
            usage=usage,
            bad=bad,
            scrub=scrub,
            trouble=trouble,
            progress=deletion.progress,
            confirmation=CONFIRMATION,
        )

    @pages.post("/images/scrub")
    def verify() -> Response:
        return answers.carry_out(_PLACE, images.request_scrub, "Verification of all images starts within seconds.")

    @pages.post("/images/delete_all")
    def delete_all() -> Response:
        def begin() -> None:
            if request.form.get("confirmation", "").strip().lower() != CONFIRMATION:
                raise InvalidRequest(f"Nothing was deleted. To delete all images, type: {CONFIRMATION}")
            deletion.start(current_principal().actor())

        return answers.carry_out(_PLACE, begin, "", form="delete")

    return pages
