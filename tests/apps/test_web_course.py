"""The course API, as its clients use it."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tests.apps.web_support import LIMIT, Web, open_web, picture

from elastic_images.core.errors import OutOfSpace, Unavailable
from elastic_images.core.pool_config import ScalingConfig


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path, anonymous="admin") as web:
        yield web


def course(web: Web, call: str, **form: Any) -> Any:
    """The JSON of a call that is answered with status 200, form given as a body."""
    answer = web.client().post(f"/api/{call}", data=form or None)
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    return answer.get_json()


def upload(web: Web, key: str, body: bytes, slash: str = "") -> Any:
    return course(web, f"upload{slash}", key=key, file=(io.BytesIO(body), "photo.png"))


def code(answer: Any) -> int:
    """The code of a failure."""
    assert set(answer) == {"success", "error"}
    assert set(answer["error"]) == {"code", "message"}
    assert answer["success"] == "false"
    assert answer["error"]["message"]
    return int(answer["error"]["code"])


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_call_with_and_without_a_slash(web: Web, slash: str) -> None:
    body = picture()
    assert upload(web, "k1", body, slash) == {"success": "true", "key": "k1"}
    assert course(web, f"list_keys{slash}") == {"success": "true", "keys": ["k1"]}
    answer = course(web, f"key/k1{slash}")
    assert (answer["success"], answer["key"], b64decode(answer["content"])) == ("true", "k1", body)
    assert set(answer) == {"success", "key", "content"}
    assert course(web, f"configure_cache{slash}?numNodes=4") == {
        "success": "true", "mode": "manual", "numNodes": 4, "cacheSize": 64, "policy": "LRU",
    }  # fmt: skip
    assert course(web, f"getNumNodes{slash}") == {"success": "true", "numNodes": 4}
    assert course(web, f"getRate{slash}?rate=miss") == {"success": "true", "rate": "miss", "value": -1}
    assert course(web, f"delete_all{slash}") == {"success": "true"}
    assert course(web, f"list_keys{slash}") == {"success": "true", "keys": []}


# ---- Images ----


@pytest.mark.parametrize("key", ["with space", "a/b/c", "grüße/日本語/🖼", "k" * 255, "100%", "a%2Fb", "?q#f", "a+b"])
def test_keys(web: Web, key: str) -> None:
    assert upload(web, key, picture())["key"] == key
    assert course(web, "list_keys")["keys"] == [key]
    for path in (quote(key), quote(key, safe=""), quote(key) + "/"):
        assert course(web, f"key/{path}")["key"] == key


@pytest.mark.parametrize("key", ["", "k" * 256, "..", "a/../b", "a//b", "/a", "a/", "a\x00b", "e\u0301"])
def test_bad_keys(web: Web, key: str) -> None:
    assert code(upload(web, key, picture())) == 400
    if not key.endswith("/"):  # one slash at the end of the path is no part of the key
        assert code(course(web, f"key/{quote(key, safe='')}")) == 400
    assert not web.images.stored


def test_a_key_that_is_no_utf8(web: Web) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n\xe9\r\n'
    body += b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + picture() + b"\r\n--b--\r\n"
    answer = web.client().post("/api/upload", data=body, content_type="multipart/form-data; boundary=b")
    assert code(answer.get_json()) == 400


def test_an_unknown_key(web: Web) -> None:
    assert code(course(web, "key/none")) == 404


def test_an_upload_replaces(web: Web) -> None:
    upload(web, "k1", picture(1))
    upload(web, "k1", picture(2))
    assert web.images.stored["k1"].body == picture(2)


def test_uploads_that_lack_something(web: Web) -> None:
    file = (io.BytesIO(picture()), "a.png")
    assert code(course(web, "upload", key="k1")) == 400
    assert code(course(web, "upload", file=file)) == 400
    assert code(course(web, "upload")) == 400
    assert code(course(web, "upload", key="k1", file="no file but a field")) == 400
    assert code(course(web, "upload", key="k1", file=(io.BytesIO(b""), "a.png"))) == 400
    assert code(course(web, "upload", key=["k1", "k2"], file=(io.BytesIO(picture()), "a.png"))) == 400
    two = [(io.BytesIO(picture()), "a.png"), (io.BytesIO(picture()), "b.png")]
    assert code(course(web, "upload", key="k1", file=two)) == 400
    assert not web.images.stored


def test_uploads_that_are_refused(web: Web) -> None:
    assert code(upload(web, "k1", b"this is no image")) == 415
    assert code(upload(web, "k1", bytes(LIMIT + 1))) == 413
    assert code(upload(web, "k1", bytes(LIMIT * 5))) == 413
    assert not web.images.stored
    biggest = picture() + bytes(LIMIT - len(picture()))
    assert upload(web, "k1", biggest)["success"] == "true"


def test_an_upload_that_is_cut_off(web: Web) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk1\r\n'
    form += b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + picture() + b"\r\n--b--\r\n"
    for length, announced in ((len(form) // 2, len(form)), (len(form) // 2, len(form) // 2), (len(form) - 4,) * 2):
        answer = web.client().post(
            "/api/upload",
            data=form[:length],
            content_type="multipart/form-data; boundary=b",
            environ_overrides={"CONTENT_LENGTH": str(announced)},
        )
        assert (answer.status_code, code(answer.get_json())) == (200, 400)
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    answer = web.client().post(
        "/api/upload", data=form, content_type="multipart/form-data; boundary=b", environ_overrides=chunked
    )
    assert code(answer.get_json()) == 411
    assert not web.images.stored


def test_all_keys_are_listed_however_many(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elastic_images.web.course.images._PAGE", 3)
    for number in range(10):
        upload(web, f"k{number}", picture())
    assert course(web, "list_keys")["keys"] == [f"k{number}" for number in range(10)]


def test_a_read_counts_as_a_read(web: Web) -> None:
    upload(web, "k1", picture())
    course(web, "key/k1")
    assert web.plane.reads == 1


# ---- The pool ----


def test_parameters_come_in_the_query_or_in_a_form(web: Web) -> None:
    assert course(web, "configure_cache?mode=auto&policy=RR")["mode"] == "auto"
    assert course(web, "configure_cache", numNodes="3", cacheSize="10")["numNodes"] == 3
    answer = web.client().post("/api/configure_cache?numNodes=5", data={"cacheSize": "7"})
    assert answer.get_json() == {"success": "true", "mode": "auto", "numNodes": 5, "cacheSize": 7, "policy": "RR"}
    course(web, "configure_cache?expRatio=3&shrinkRatio=0.25&maxMiss=0.6&minMiss=0.1")
    assert web.pool.kept == ScalingConfig("auto", 5, 7, "RR", 3.0, 0.25, 0.6, 0.1)
    assert course(web, "configure_cache")["numNodes"] == 5
    web.pool.rates |= {"miss_rate": 0.25, "hit_rate": 0.75}
    assert course(web, "getRate", rate="hit") == {"success": "true", "rate": "hit", "value": 0.75}
    assert course(web, "getRate?rate=miss")["value"] == 0.25


@pytest.mark.parametrize(
    "query",
    [
        {"numNodes": "0"}, {"numNodes": "9"}, {"numNodes": "nan"}, {"numNodes": "abc"}, {"numNodes": "-1"},
        {"numNodes": "1.5"}, {"numNodes": ""}, {"numNodes": ["2", "3"]}, {"numnodes": "3"}, {"cacheSize": "-1"},
        {"cacheSize": "0"}, {"cacheSize": "inf"}, {"policy": "FIFO"}, {"mode": "turbo"}, {"expRatio": "nan"},
        {"expRatio": "0.5"}, {"shrinkRatio": "2"}, {"maxMiss": "1.5"}, {"minMiss": "0.9", "maxMiss": "0.1"},
        {"minMiss": "0.5"}, {"policy": "RR", "cacheSize": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_make_no_sense_change_nothing(web: Web, query: dict[str, Any]) -> None:
    answer = course(web, f"configure_cache?{urlencode(query, doseq=True)}")
    assert code(answer) == 400
    assert any(name in answer["error"]["message"] for name in query)
    assert web.pool.kept == ScalingConfig()


def test_parameters_in_json_count_too(web: Web) -> None:
    configure = "/api/configure_cache"
    answer = web.client().post(configure, json={"numNodes": 3, "policy": "RR"}).get_json()
    assert (answer["success"], answer["numNodes"], answer["policy"]) == ("true", 3, "RR")
    assert web.client().post(f"{configure}?numNodes=4", json={}).get_json()["numNodes"] == 4
    kept = web.pool.kept
    for body in ('{"numNodes": 9}', '{"numNodes": true}', '{"numNodes": null}', "[1]", "{", "[" * 50_000):
        answer = web.client().post(configure, data=body, content_type="application/json")
        assert code(answer.get_json()) == 400, body[:20]
    assert code(web.client().post(f"{configure}?numNodes=2", json={"numNodes": 2}).get_json()) == 400
    assert web.pool.kept == kept


@pytest.mark.parametrize("query", ["", "rate=", "rate=hits", "rate=HIT", "rate=hit&rate=miss"])
def test_rates_that_there_are_not(web: Web, query: str) -> None:
    assert code(course(web, f"getRate?{query}")) == 400


# ---- CloudWatchError on our side keeps its status ----


def test_trouble_on_our_side_keeps_its_status(web: Web) -> None:
    web.pool.fail = Unavailable("The autoscaler does not answer.", retry_after_seconds=3)
    for call in ("configure_cache?numNodes=2", "getNumNodes", "getRate?rate=hit"):
        answer = web.client().post(f"/api/{call}")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
        assert code(answer.get_json()) == 503
    web.images.fail = OutOfSpace("There is no room.")
    answer = web.client().post("/api/upload", data={"key": "k1", "file": (io.BytesIO(picture()), "a.png")})
    assert (answer.status_code, code(answer.get_json())) == (507, 507)


def test_a_failure_of_ours(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.pool, "config", lambda: 1 // 0)
    answer = web.client().post("/api/getNumNodes")
    assert (answer.status_code, code(answer.get_json())) == (500, 500)
