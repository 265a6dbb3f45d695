"""Problem documents, written and read."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError, OutOfSpace, Unavailable
from elastic_images.core.problems import PROBLEM_TYPE_PREFIX
from elastic_images.http.problems import (
    error_from_answer,
    is_database_error,
    problem_answer,
    problem_document,
    public_error,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ElasticImagesError) and kind is not ElasticImagesError
]


def test_each_kind_of_error_has_a_name_of_its_own() -> None:
    slugs = [kind.slug for kind in KINDS]
    assert len(set(slugs)) == len(slugs)
    assert problem_document(OutOfSpace("full"), request_id="x") == {
        "type": PROBLEM_TYPE_PREFIX + "out-of-space",
        "title": "Out of space",
        "status": 507,
        "detail": "full",
        "instance": "urn:request:x",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_wire(kind: type[ElasticImagesError]) -> None:
    status, headers, body = problem_answer(kind("what is wrong", retry_after_seconds=7))
    fields = {name.lower(): value for name, value in headers}
    assert (int(status[:3]), status[4:]) == (kind.status, kind.title)
    assert (fields["content-type"], fields["content-length"]) == ("application/problem+json", str(len(body)))
    error = error_from_answer(kind.status, fields, body)
    assert (type(error), str(error), error.retry_after_seconds) == (kind, "what is wrong", 7)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"type": "about:blank", "detail": "x"}', b'{"detail": "x"}'])
def test_other_documents_mean_unavailable(body: bytes) -> None:
    error = error_from_answer(500, {}, body)
    assert (type(error), str(error)) == (Unavailable, "Another process answered 500.")


def test_clients_see_no_details_of_unexpected_errors(caplog: pytest.LogCaptureFixture) -> None:
    ours = OutOfSpace("full")
    assert public_error(ours, "r1") is ours
    database = OperationalError("INSERT", {}, sqlite3.OperationalError("unable to open database file"))
    with caplog.at_level(logging.WARNING):
        assert type(public_error(database, "r2")) is Unavailable
        unexpected = public_error(RuntimeError("secret"), "r3")
    assert (type(unexpected), unexpected.status) == (ElasticImagesError, 500)
    assert "secret" not in str(unexpected)
    assert "r3" in str(unexpected)
    assert "secret" in caplog.text


def test_a_damaged_database_is_trouble_of_the_database(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database" * 400)
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(DatabaseError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM x"))
    assert is_database_error(caught.value)
    with caplog.at_level(logging.ERROR):
        shown = public_error(caught.value, "r1")
    assert (type(shown), "is damaged" in str(shown), "r1" in caplog.text) == (Unavailable, True, True)
    wrong = IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed"))
    assert not is_database_error(wrong)
    engine.dispose()


def test_the_module_is_light() -> None:
    heavy = ("flask", "werkzeug", "sqlalchemy")
    check = f"import sys, elastic_images.http.problems; sys.exit(any(name in sys.modules for name in {heavy}))"
    subprocess.run([sys.executable, "-c", check], check=True)
