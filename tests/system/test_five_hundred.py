"""500 photographs, uploaded and read back in parallel, through 1, 3 and 8 nodes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from testing.client import Client
from testing.photographs import Photograph
from testing.reading import readers
from tests.system.conftest import StartSystem


def upload(client: Client, photographs: Sequence[Photograph]) -> None:
    def put(photograph: Photograph) -> None:
        answer = client.put(photograph.name, photograph.body)
        assert answer.status == 201, (photograph.name, answer.status, answer.body)
        assert answer.json["sha256"] == photograph.sha256

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(put, photographs))


def check_all(client: Client, photographs: Sequence[Photograph]) -> None:
    def get(photograph: Photograph) -> None:
        answer = client.get(photograph.name)
        assert answer.status == 200, (photograph.name, answer.status, answer.body[:300])
        assert answer.body == photograph.body, photograph.name
        assert answer.headers["Content-Type"] == photograph.content_type
        assert answer.headers["ETag"] == f'"{photograph.sha256}"'

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(get, photographs))


def test_byte_for_byte_through_one_three_and_eight_nodes(
    start_system: StartSystem, five_hundred: tuple[Photograph, ...]
) -> None:
    # Without near caches, so that it is the nodes that answer.
    system = start_system(nodes=1, near_cache_mb=0)
    admin, visitor = system.admin(), system.client()
    upload(admin, five_hundred)
    check_all(visitor, five_hundred)
    for nodes in (3, 8):
        with readers(visitor, five_hundred) as seen:
            system.scale(nodes)
            seen.wait_for_more(50)
        assert not seen.failures
        check_all(visitor, five_hundred)
    listed = {image["key"]: image for image in admin.list("photographs/")}
    assert set(listed) == {photograph.name for photograph in five_hundred}
    for photograph in five_hundred:
        image = listed[photograph.name]
        assert (image["width"], image["height"]) == (photograph.width, photograph.height)
        assert (image["size_bytes"], image["content_type"]) == (len(photograph.body), photograph.content_type)
    holders = [node["stats"]["items"] for node in system.pool()["nodes"]]
    assert len(holders) == 8
    assert min(holders) > 0
