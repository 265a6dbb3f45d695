"""100 of 1,000 objects go bad: none is served on any way, all are listed, and a new upload mends them."""

from __future__ import annotations

import base64
import io
import random
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from testing.client import Answer, Client
from testing.storage_parts import picture
from testing.system import System, running

IMAGES, BAD, LARGE = 1_000, 100, 40
KEYS = [f"images/{number:04d}.png" for number in range(IMAGES)]
LARGE_KEYS = frozenset(random.Random(1).sample(KEYS, LARGE))


def body_of(key: str) -> bytes:
    number = KEYS.index(key)
    if key not in LARGE_KEYS:
        return picture(seed=number)
    stream = io.BytesIO()
    Image.frombytes("L", (700, 500), random.Random(number).randbytes(350_000)).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def spoil(path: Path, way: int) -> str:
    """Ruin an object's file. Returns what becomes of it."""
    data = path.read_bytes()
    if way < 7:
        place = random.Random(path.name).randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << way]) + data[place + 1 :])
        return "damaged"
    if way == 7:
        path.write_bytes(data[: len(data) // 2])
        return "damaged"
    path.unlink()
    if way == 9:
        path.mkdir()
    return "lost"


@pytest.fixture(scope="module")
def damage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, dict[str, str]]]:
    """A system with 1,000 images, and the state of those whose objects went bad before anybody read them."""
    with running(tmp_path_factory.mktemp("damage"), anonymous="admin", nodes=1) as system:
        client = system.client()
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda key: client.put(key, body_of(key)).status, KEYS)) == {201}
        with sqlite3.connect(system.data / "elastic-images.db") as database:
            names = {key.decode(): name for key, name in database.execute("SELECT key, object_name FROM images")}
        database.close()
        # Ten of each size at least.
        chosen = random.Random(2).sample(sorted(LARGE_KEYS), 10)
        chosen += random.Random(3).sample(sorted(set(KEYS) - LARGE_KEYS), BAD - 10)
        folder = system.data / "objects"
        states = {key: spoil(folder / names[key][:2] / names[key], index % 10) for index, key in enumerate(chosen)}
        yield system, states


def ask_all(client: Client, method: str, path: str, headers: dict[str, str] | None = None) -> dict[str, Answer]:
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda key: client.request(method, path.format(key), headers=headers), KEYS)
        return dict(zip(KEYS, answers, strict=True))


def check(answers: dict[str, Answer], states: dict[str, str], status: int = 200) -> None:
    for key, answer in answers.items():
        if key in states:
            assert answer.problem == (500, states[key]), key
            assert "Retry-After" not in answer.headers
        else:
            assert answer.status == status, (key, answer.status, answer.body[:200])


def test_no_way_of_reading_serves_what_is_bad(damage: tuple[System, dict[str, str]], tmp_path: Path) -> None:
    system, states = damage
    client = system.client()
    for _ in range(3):  # by the node, and near
        answers = ask_all(client, "GET", "/images/{}")
        check(answers, states)
        assert all(answer.body == body_of(key) for key, answer in answers.items() if key not in states)
    assert "HIT-NEAR" in {answer.cache for answer in answers.values()}
    for key, answer in ask_all(client, "HEAD", "/images/{}").items():
        assert answer.status == (500 if key in states else 200)
    ranges = ask_all(client, "GET", "/images/{}", {"Range": "bytes=0-9"})
    check(ranges, states, status=206)
    assert all(answer.body == body_of(key)[:10] for key, answer in ranges.items() if key not in states)
    check(ask_all(client, "GET", "/images/{}?rendition=thumb"), states)

    for key in [*states, *KEYS[:20]]:
        answer = client.request("POST", f"/api/key/{key}")
        if key in states:
            assert answer.status == 500
            assert (answer.json["success"], answer.json["error"]["code"]) == ("false", 500)
        else:
            assert base64.b64decode(answer.json["content"]) == body_of(key)

    system.autoscaler().update_config({"mode": "manual", "num_nodes": 2})
    system.wait_settled()
    answers = ask_all(client, "GET", "/images/{}")
    check(answers, states)
    assert all(answer.body == body_of(key) for key, answer in answers.items() if key not in states)

    done = system.cli("export", str(tmp_path / "export"), check=False)
    assert done.returncode != 0
    exported = {file.read_bytes() for file in (tmp_path / "export").rglob("*.png")}
    assert exported == {body_of(key) for key in KEYS if key not in states}


def test_all_that_is_bad_is_listed_and_a_new_upload_mends_it(damage: tuple[System, dict[str, str]]) -> None:
    system, states = damage
    done = system.cli("scrub", "--now", "--wait", "--json", check=False)
    assert done.returncode == 1, done.stderr
    status = system.cli_json("scrub", "status")
    assert {image["key"]: image["state"] for image in status["bad_images"]} == states
    assert status["bad"] == len(states)
    assert status["objects"] == IMAGES
    storage = next(
        part
        for part in system.client((system.data / "cli-token").read_text().strip(), app="manager")
        .request("GET", "/api/health")
        .json["parts"]
        if part["name"] == "Storage"
    )
    counts = [sum(state == kind for state in states.values()) for kind in ("damaged", "lost")]
    assert f"{counts[0]} damaged, {counts[1]} lost" in storage["words"]

    client = system.client()
    for key in states:
        assert client.put(key, body_of(key)).status == 200
    check(ask_all(client, "GET", "/images/{}"), {})
    assert system.cli_json("scrub", "status")["bad_images"] == []
