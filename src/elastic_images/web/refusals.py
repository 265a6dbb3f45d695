"""What the data plane answers when it refuses a read: a page for people, a problem document for everything else.

Pages are made by Flask, so that they have its layout, policy and paths. This takes a millisecond or two, on the worker
thread that found the error; the front's own thread makes none.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from flask import Flask

from elastic_images.core.errors import ElasticImagesError
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer
from elastic_images.http.problems import problem_answer
from elastic_images.web.navigations import wants_page

REFUSAL = "elastic_images.refusal"
"""Where in the WSGI environment `reads.route` finds the error to show. No client can set it."""
Refuse = Callable[[ElasticImagesError, Environ], Answer]


def refuse_plainly(error: ElasticImagesError, environ: Environ) -> Answer:  # noqa: ARG001 - as `Refuse`
    """The problem document, whoever asks."""
    return problem_answer(error)


def refuse_by(app: Flask) -> Refuse:
    """Pages of this app, where a browser asks. May be called on any thread that may wait for the database."""

    def refuse(error: ElasticImagesError, environ: Environ) -> Answer:
        if not wants_page(environ):
            return problem_answer(error)
        # The front's environments hold only what the front needs.
        whole = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(),
            **environ,
            REFUSAL: error,
        }
        with app.request_context(whole):
            body, status, headers = app.full_dispatch_request().get_wsgi_response(whole)
            return Answer(status, headers, b"".join(body))

    return refuse
