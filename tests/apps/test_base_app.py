"""What every app of ours has."""

from __future__ import annotations

import logging

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.exc import OperationalError

from elastic_images.apps import base_app
from elastic_images.apps_wsgi import error_answer
from elastic_images.core.errors import ElasticImagesError, NotFound, Unavailable

TOKEN = "secret"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def make(**options: object) -> Flask:
    app = base_app("test", internal_token=TOKEN, **options)  # type: ignore[arg-type]

    @app.get("/missing")
    def missing() -> str:
        raise NotFound("There is no such thing.")

    @app.get("/busy")
    def busy() -> str:
        raise Unavailable("Not now.", retry_after_seconds=7)

    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("the password is hunter2")

    @app.get("/database")
    def database() -> str:
        raise OperationalError("SELECT secrets", {}, Exception("gone"))

    return app


@pytest.fixture
def client() -> FlaskClient:
    return make().test_client()


def test_an_error_is_a_problem_document(client: FlaskClient) -> None:
    answer = client.get("/missing", headers=AUTHORIZED)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert answer.json is None or answer.json["detail"] == "There is no such thing."
    document = answer.get_json(force=True)
    assert (document["status"], document["title"]) == (404, "Not found")
    assert document["instance"] == f"urn:request:{answer.headers['X-Request-Id']}"


def test_an_error_says_when_to_try_again(client: FlaskClient) -> None:
    assert client.get("/busy", headers=AUTHORIZED).headers["Retry-After"] == "7"


def test_a_bug_is_logged_with_the_request_and_not_shown(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/bug", headers={**AUTHORIZED, "X-Request-Id": "my-request"})
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "my-request" in answer.text
    assert "my-request" in caplog.text
    assert "hunter2" in caplog.text


def test_a_database_that_does_not_answer_is_503(client: FlaskClient) -> None:
    answer = client.get("/database", headers=AUTHORIZED)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "SELECT" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/missing", 405)])
def test_what_is_not_there_is_a_problem_document_too(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method, headers=AUTHORIZED)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    if status == 405:
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}], ids=str)
@pytest.mark.parametrize("path", ["/missing", "/nothing"])
def test_without_the_token_nothing_is_told(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_health_and_metrics_are_open() -> None:
    registry = CollectorRegistry()
    Counter("reads", "Reads.", registry=registry).inc(3)
    client = make(registry=registry).test_client()
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    assert "reads_total 3.0" in client.get("/metrics").text


def test_who_is_not_ready_says_why_and_is_alive() -> None:
    def ready() -> None:
        raise Unavailable("The database does not answer.")

    client = make(ready=ready).test_client()
    assert client.get("/readyz").status_code == 503
    assert "does not answer" in client.get("/readyz").text
    assert client.get("/healthz").status_code == 200


def test_a_request_keeps_the_id_it_comes_with_where_that_is_one(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"] == "abc-1.2_3"
    for bad in ("", "a b", "x" * 65, "<script>"):
        given = client.get("/healthz", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert given != bad
        assert len(given) == 32


def test_an_app_may_show_errors_its_own_way() -> None:
    def page(error: ElasticImagesError) -> Response:
        return Response(f"page: {error}", status=error.status)

    answer = make(render_error=page).test_client().get("/missing", headers=AUTHORIZED)
    assert (answer.status_code, answer.text) == (404, "page: There is no such thing.")


def test_a_data_plane_answers_errors_the_same_way() -> None:
    status, headers, body = error_answer(Unavailable("Not now.", retry_after_seconds=7))
    assert status == "503 Unavailable"
    assert ("Retry-After", "7") in headers
    assert ("Content-Type", "application/problem+json") in headers
    assert ("Content-Length", str(len(body))) in headers
    assert ("Cache-Control", "no-store") in headers
