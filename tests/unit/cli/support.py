"""What the tests of the command line share: running a command, and a stand-in for web and the manager."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from click.testing import CliRunner, Result

from elastic_images.cli import main
from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError
from elastic_images.http.problems import problem_document
from elastic_images.process import server

TOKEN = "ei_test_token"
Reply = tuple[int, bytes]


def run(*words: str, input: str | None = None, **environ: str) -> Result:  # noqa: A002  (click's name for it)
    """Run `elastic-images WORDS` in this process."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    try:
        return CliRunner(env=environ).invoke(main, list(words), input=input)
    finally:
        root.handlers[:] = handlers  # a command that logs sets up its own, on a stream that is closed now


def run_json(*words: str, **environ: str) -> Any:
    """What a command that succeeds prints with `--json`."""
    result = run(*words, "--json", **environ)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that the environment names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("ELASTIC_IMAGES_DATA", str(folder))
    return folder


@dataclass
class FakeSystem:
    """Answers as web and the manager do, from a dict."""

    url: str = ""
    images: dict[str, bytes] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=lambda: {"mode": "manual", "num_nodes": 1, "policy": "LRU"})
    pool: dict[str, Any] = field(default_factory=dict)
    refuse: dict[str, ElasticImagesError] = field(default_factory=dict)
    """Errors by key."""
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Facts that images have, by key, instead of the usual ones."""
    on_image: Callable[[str, str], object] = lambda method, path: None  # noqa: ARG005
    """Called with the method and path of each request of an image, before it is answered."""
    meet: threading.Barrier | None = None
    """Where uploads wait for each other."""
    cut_off: bool = False
    page: int = 2
    most_at_a_time: int = 0
    tokens: list[str] = field(default_factory=list)
    _at_a_time: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        self.tokens.append(environ.get("HTTP_AUTHORIZATION", ""))
        with self._lock:
            self._at_a_time += 1
            self.most_at_a_time = max(self.most_at_a_time, self._at_a_time)
        try:
            status, body = self._answer(environ)
        except ElasticImagesError as error:
            status, body = error.status, json.dumps(problem_document(error)).encode()
        finally:
            with self._lock:
                self._at_a_time -= 1
        length = len(body) + (10 if self.cut_off else 0)
        etag = [("ETag", self._etag(body))] if environ["PATH_INFO"].startswith("/images/") and status == 200 else []
        start_response(f"{status} x", [("Content-Length", str(length)), *etag])
        return iter([body]) if self.cut_off else [body]

    def _answer(self, environ: dict[str, Any]) -> Reply:
        method = environ["REQUEST_METHOD"]
        path = unquote(environ["PATH_INFO"].encode("latin-1").decode())
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        if path in ("/healthz", "/"):
            return 200, b""
        if path == "/api/pool":
            return 200, json.dumps(self.pool).encode()
        if path == "/api/config":
            if method == "PATCH":
                self.config |= json.loads(environ["wsgi.input"].read())
            return 200, json.dumps(self.config).encode()
        if path == "/api/images":
            return 200, json.dumps(self._list(query.get("prefix", ""), query.get("cursor", ""))).encode()
        if path == "/api/images/batch" and method == "POST":
            results = self._batch(json.loads(environ["wsgi.input"].read())["operations"])
            return 200, json.dumps({"results": results}).encode()
        self.on_image(method, path)
        key = path.removeprefix("/api").removeprefix("/images/")
        if method == "GET" and path.startswith("/api/"):
            return 200, json.dumps(self._metadata(self._there(key))).encode()
        return self._image(method, key, environ)

    def _image(self, method: str, key: str, environ: dict[str, Any]) -> Reply:
        if environ.get("HTTP_AUTHORIZATION") != f"Bearer {TOKEN}" and method != "GET":
            raise errors.Unauthenticated("No valid token.")
        if key in self.refuse:
            raise self.refuse[key]
        if method == "PUT":
            if self.meet is not None:
                self.meet.wait(60)
            body = environ["wsgi.input"].read()
            assert len(body) == int(environ["CONTENT_LENGTH"])
            self._check_conditions(key, environ)
            created = key not in self.images
            self.images[key] = body
            self.kept[key] = json.loads(environ.get("HTTP_X_KEEP_FACTS", "{}"))
            if visibility := environ.get("HTTP_X_VISIBILITY"):
                self.kept[key]["visibility"] = visibility
            return 201 if created else 200, json.dumps(self._metadata(key)).encode()
        if method == "DELETE":
            del self.images[self._there(key)]
            return 204, b""
        if method == "PATCH":
            return 200, json.dumps(self._metadata(self._change(key, json.loads(environ["wsgi.input"].read())))).encode()
        self._check_conditions(self._there(key), environ)
        return 200, self.images[self._there(key)]

    def _batch(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        results = []
        named = [key for one in operations for key in (one["key"], one.get("to")) if key is not None]
        if len(set(named)) < len(named):
            raise errors.InvalidRequest("A key appears twice.")
        for operation in operations:
            key, result = operation["key"], {"key": operation["key"], "status": 200}
            changes = {"key": operation.get("to"), "visibility": operation.get("visibility")}
            try:
                self._change(key, {name: value for name, value in changes.items() if value is not None})
            except ElasticImagesError as error:
                result |= {"status": error.status, "detail": str(error)}
            results.append(result)
        return results

    def _change(self, key: str, changes: dict[str, str]) -> str:
        if key in self.refuse:
            raise self.refuse[key]
        kept = self.kept.setdefault(self._there(key), {})
        if "visibility" in changes:
            kept["visibility"] = changes["visibility"]
        if (to := changes.get("key", key)) != key:
            if to in self.images:
                raise errors.Conflict(f"There is an image {to!r} already.")
            self.images[to], self.kept[to] = self.images.pop(key), self.kept.pop(key)
        return to

    def _there(self, key: str) -> str:
        if key not in self.images:
            raise errors.NotFound(f"There is no image {key!r}.")
        return key

    def _check_conditions(self, key: str, environ: dict[str, Any]) -> None:
        present = self._metadata(key)["etag"] if key in self.images else None
        unlike = environ.get("HTTP_IF_MATCH", present) != present
        if unlike or (present and environ.get("HTTP_IF_NONE_MATCH") == "*"):
            raise errors.PreconditionFailed("A condition does not hold.")

    def _list(self, prefix: str, cursor: str) -> dict[str, Any]:
        keys = sorted(key for key in self.images if key.startswith(prefix) and key > cursor)
        found = [self._metadata(key) for key in keys[: self.page]]
        return {"images": found, "next": keys[self.page - 1] if len(keys) > self.page else None}

    def _etag(self, body: bytes) -> str:
        return f'"{hashlib.sha256(body).hexdigest()}"'

    def _metadata(self, key: str) -> dict[str, Any]:
        body = self.images[key]
        digest = hashlib.sha256(body).hexdigest()
        return {
            "key": key,
            "size_bytes": len(body),
            "sha256": digest,
            "etag": f'"{digest}"',
            "content_type": "image/png",
            "format": "PNG",
            "width": 3,
            "height": 2,
            "frames": 1,
            "version": 1,
            "created_at": 0.0,
            "updated_at": 0.0,
            "owner": None,
            "visibility": "public",
            "partition": 1,
            "node": 0,
            "url": f"/images/{key}",
            "immutable_url": f"/images/{key}?v={digest[:12]}",
            **self.kept.get(key, {}),
        }


@contextmanager
def fake_system() -> Iterator[FakeSystem]:
    """A stand-in that is served over HTTP."""
    system = FakeSystem()
    with server.serving(system.wsgi) as bound:
        system.url = f"http://{bound.address}"
        yield system
