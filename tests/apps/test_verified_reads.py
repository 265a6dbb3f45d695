"""What storage's callers get of an object that went bad."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.settings import make_settings
from testing.storage_parts import ANN, large_picture, picture
from tests.apps.storage_support import served_storage

from elastic_images.core.errors import Damaged, Lost, Unavailable
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.http.internal_client import InternalClient
from elastic_images.storage.client import StorageClient

TOKEN = "test-internal-token"


class Storage:
    """A storage app with one small and one large image."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.http = InternalClient(TOKEN)
        self.client = StorageClient(self.http, [f"http://{address}"])
        self.files: dict[str, Path] = {}
        for key, body in (("small", picture()), ("large", large_picture())):
            before = set(self._objects())
            self.client.put(key, io.BytesIO(body), len(body), actor=ANN)
            (self.files[key],) = set(self._objects()) - before

    def _objects(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file())

    def flip(self, key: str) -> None:
        data = bytearray(self.files[key].read_bytes())
        data[-1] ^= 1
        self.files[key].write_bytes(data)

    def raw(self, key: str) -> tuple[bytes, bytes]:
        """Head and body of an answer, to the end of the connection."""
        host, port = self.address.split(":")
        request = f"GET /internal/images/{key} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        with socket.create_connection((host, int(port)), 60) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return head, body

    def listed(self) -> list[tuple[str, str]]:
        page = self.http.get_json(f"http://{self.address}/internal/bad_objects")
        return [(row["key"], row["state"]) for row in page["images"]]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    settings = make_settings(tmp_path, internal_token=TOKEN)
    with served_storage(settings) as (_, bound):
        made = Storage(bound.address, tmp_path / "objects")
        yield made
        made.http.close()


def test_a_damaged_large_image_is_an_incomplete_answer_at_first(storage: Storage) -> None:
    assert storage.client.get_entry("large").body == large_picture()
    storage.flip("large")
    head, body = storage.raw("large")
    assert f"content-length: {len(large_picture())}".encode() in head.lower()
    assert len(body) < len(large_picture())
    assert storage.listed() == [("large", "damaged")]


def test_a_client_never_takes_an_incomplete_answer_for_an_image(storage: Storage) -> None:
    storage.flip("large")
    with pytest.raises(Unavailable):
        storage.client.get_entry("large")
    with pytest.raises(Damaged) as told:
        storage.client.get_entry("large")
    assert (told.value.status, told.value.retry_after_seconds) == (500, None)


def test_a_damaged_small_image_is_an_error_at_once(storage: Storage) -> None:
    storage.flip("small")
    with pytest.raises(Damaged):
        storage.client.get_entry("small")
    storage.files["small"].unlink()
    with pytest.raises(Lost):
        storage.client.get_entry("small")
    assert storage.listed() == [("small", "lost")]


@pytest.mark.parametrize("key", ["small", "large"])
def test_no_rendition_is_made_of_damaged_bytes(storage: Storage, key: str) -> None:
    storage.flip(key)
    with pytest.raises(Damaged):
        storage.client.get_entry(rendition_name(key, PRESETS["thumb"]))
    assert storage.listed() == [(key, "damaged")]


def test_the_gauges_count_images_that_are_known_to_be_bad(storage: Storage) -> None:
    storage.flip("small")
    storage.files["large"].unlink()
    with pytest.raises(Damaged):
        storage.client.get_entry("small")
    with pytest.raises(Lost):
        storage.client.get_entry("large")
    text = storage.http.request("GET", f"http://{storage.address}/metrics").data.decode()
    assert "elastic_images_damaged 1.0" in text
    assert "elastic_images_lost 1.0" in text
