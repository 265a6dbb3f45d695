"""What every app answers when the database has no room."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import OperationalError

from elastic_images.http.base_app import base_app


def test_a_database_without_room_is_told_from_one_that_is_gone() -> None:
    failures: list[int] = []
    app = base_app("rooms", on_database_failure=lambda: failures.append(1))

    @app.get("/<words>")
    def fail(words: str) -> str:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError(words))

    full = app.test_client().get("/database or disk is full")
    assert (full.status_code, full.get_json(force=True)["type"].rpartition("/")[2]) == (507, "out-of-space")
    assert app.test_client().get("/unable to open database file").status_code == 503
    assert len(failures) == 2
