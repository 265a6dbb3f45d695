"""Signed links, upload links and private images on a whole system with two web processes, as people use them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from testing.photographs import photographs
from testing.system import System, running
from testing.waiting import wait_for
from tests.unit.docs.test_links import NODE, PHP, made_by, snippet

from elastic_images.core.keys import quote_key

PHOTO = photographs(1)[0].body
KEY = "50% off/café 1.jpg"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("links"), nodes=1, web_processes=2) as started:
        assert started.admin().put(KEY, PHOTO, {"X-Visibility": "private"}).status == 201
        yield started


def call(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> urllib3.BaseHTTPResponse:
    """A request on a connection of its own, so that any of the processes answers."""
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request(method, url, body=body, headers=headers, timeout=60)


def problem(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    return answer.status, json.loads(answer.data)["type"].rpartition("/")[2]


def test_the_command_line_makes_a_link_that_ends_with_its_key(system: System) -> None:
    url = system.cli("link", KEY, "--for", "1h", "-p", "w=301", "-p", "format=webp").stdout.strip()
    for _ in range(4):
        answer = call(url)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
        assert answer.headers["Cache-Control"] == "private, no-cache"
    assert call(url.partition("?")[0]).status == 404
    assert problem(call(url.replace("w=301", "w=302"))) == (403, "signature-invalid")
    (own,) = system.cli_json("links", "key", "list")["keys"]
    assert (own["name"], own["user"]) == ("links", "admin")
    system.cli("links", "key", "revoke", own["id"])
    wait_for(lambda: all(call(url).status == 403 for _ in range(6)), seconds=60)


@pytest.mark.parametrize("language", ["python", "js", "php"])
def test_the_code_of_the_documentation_opens_a_private_image(system: System, tmp_path: Path, language: str) -> None:
    key = system.cli_json("links", "key", "create", "--name", language)
    given: dict[str, Any] = {"key": KEY, "params": {"w": "333"}, "exp": int(time.time()) + 600, "kid": key["id"]}
    one = given | {"secret": key["secret"]}
    if language == "python":
        names: dict[str, Any] = {}
        exec(snippet("python"), names)  # noqa: S102 - our own documentation
        address = names["signed_url"]("", one["key"], one["params"], one["exp"], one["kid"], one["secret"])
    elif language == "js":
        file = tmp_path / "sign.mjs"
        file.write_text(snippet("js") + NODE, encoding="utf-8")
        (address,) = made_by("node", "nodejs", file, [one])
    else:
        file = tmp_path / "sign.php"
        file.write_text(f"<?php\n{snippet('php')}{PHP}", encoding="utf-8")
        (address,) = made_by("php", "php-cli", file, [one])
    assert call(system.url() + address).status == 200
    new = system.cli_json("links", "key", "rotate", key["id"])
    assert new["secret"] != key["secret"]
    wait_for(lambda: all(call(system.url() + address).status == 403 for _ in range(6)), seconds=60)


def upload_link(system: System, **body: Any) -> str:
    sent = json.dumps({"expires_in": 600, **body}).encode()
    answer = system.admin().request("POST", "/api/upload-links", body=sent)
    assert answer.status == 200, answer.body
    return str(answer.json["url"])


def test_of_many_uploads_by_one_link_at_once_exactly_one_is_stored(system: System) -> None:
    url = upload_link(system, prefix="inbox/", max_bytes=len(PHOTO), visibility="private")
    refused = call(url.replace("{name}", "large.jpg"), "PUT", PHOTO + b"x")
    assert problem(refused) == (413, "too-large")
    assert problem(call(url.replace("inbox/{name}", "elsewhere.jpg"), "PUT", PHOTO)) == (403, "signature-invalid")
    headers = {"Origin": "https://anywhere.example", "Sec-Fetch-Site": "cross-site"}
    with ThreadPoolExecutor(6) as pool:
        results = list(
            pool.map(lambda n: call(url.replace("{name}", f"{n}.jpg"), "PUT", PHOTO, headers=headers), range(6))
        )
    assert sorted(one.status for one in results) == [201, *[409] * 5]
    assert {problem(one) for one in results if one.status == 409} == {(409, "link-used")}
    assert {one.headers["Access-Control-Allow-Origin"] for one in results} == {"*"}
    stored = system.cli_json("ls", "inbox/")["images"]
    assert [(one["owner"], one["visibility"]) for one in stored] == [("admin", "private")]
    assert call(system.url() + urlsplit(url).path.replace("%7Bname%7D", "0.jpg")).status in (401, 404)


def test_a_link_that_stores_an_image_opens_none(system: System) -> None:
    url = upload_link(system, key=KEY)
    assert problem(call(url.replace("/api/images/", "/images/"))) == (403, "signature-invalid")


def test_what_is_private_stays_so_on_every_web_process_and_ends_with_its_token(system: System) -> None:
    admin, key = system.admin(), "shown, then hidden.jpg"
    assert admin.put(key, PHOTO, {"X-Visibility": "public"}).status == 201
    made = system.cli_json("token", "create", "--name", "reader", "--scope", "read")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    url = system.url() + "/images/" + quote_key(key)
    etag = call(url).headers["ETag"]
    for _ in range(12):  # it comes near in both processes
        assert call(url, headers={"If-None-Match": etag}).status == 304
    assert admin.request("PATCH", f"/api/images/{quote_key(key)}", body=b'{"visibility": "private"}').status == 200
    conditions: list[dict[str, str]] = [{}, {"If-None-Match": etag}, {"Range": "bytes=0-9"}]
    for _ in range(12):
        for asked in conditions:
            assert call(url, headers=asked).status == 404
            assert call(url, headers={**asked, **bearer}).status in (200, 206, 304)
        assert call(url + "?w=320").status == 404
    system.cli("token", "revoke", str(made["id"]))
    time.sleep(2.0)  # no longer, however slow everything is
    assert {call(url, headers=bearer).status for _ in range(12)} == {404}
