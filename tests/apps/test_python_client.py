"""The Python client against a real web app, with and without the faults of networks between them."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest
import urllib3
from testing.fault_proxy import FaultProxy, answering, cutting_off, fault_proxy, losing_the_answer, refusing
from testing.photographs import photographs
from tests.apps.real_site import RealSite, real_site
from tests.apps.web_support import picture

from elastic_images.client import (
    NO_RETRIES,
    Client,
    Conflict,
    Delete,
    ElasticImagesError,
    Forbidden,
    Image,
    InvalidRequest,
    Move,
    NoAnswer,
    NotConnected,
    NotFound,
    PreconditionFailed,
    Retries,
    SetVisibility,
    SigningKey,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
)
from elastic_images.core.image_facts import PlacedImage

A, B = picture(1), picture(2)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSite]:
    with real_site(tmp_path_factory.mktemp("site"), max_image_bytes=2_000_000) as started:
        yield started


@pytest.fixture
def client(site: RealSite) -> Iterator[Client]:
    with Client(site.url, token=site.token, retries=NO_RETRIES) as client:
        yield client


@pytest.fixture
def proxy(site: RealSite) -> Iterator[FaultProxy]:
    with fault_proxy(site.url) as proxy:
        yield proxy


@pytest.fixture
def patient(proxy: FaultProxy, site: RealSite) -> Iterator[Client]:
    """A client that goes through the proxy."""
    with Client(proxy.url, token=site.token, retries=Retries(60)) as client:
        yield client


def test_metadata_has_every_field_of_the_api() -> None:
    assert {field.name for field in fields(Image)} == PlacedImage.__annotations__.keys() | set(
        PlacedImage.__required_keys__
    )


def test_bytes_a_path_and_a_file_go_there_and_back(client: Client, tmp_path: Path) -> None:
    photograph = photographs(1)[0].body
    file = tmp_path / "photograph.jpg"
    file.write_bytes(photograph)
    stored = client.upload("there/é 1", photograph)
    assert (stored.key, stored.created, stored.version, stored.owner) == ("there/é 1", True, 1, "admin")
    assert stored.sha256 == hashlib.sha256(photograph).hexdigest()
    assert client.upload("there/2", file).size_bytes == len(photograph)
    with file.open("rb") as stream:
        assert client.upload("there/3", stream).sha256 == stored.sha256
    beginning = io.BytesIO(b"not this" + photograph)
    beginning.seek(8)
    assert client.upload("there/4", beginning).sha256 == stored.sha256
    assert client.upload("there/4", str(file)).created is False

    assert client.get("there/é 1") == photograph
    with client.open("there/2") as download:
        assert (download.content_type, download.etag) == ("image/jpeg", stored.etag)
        assert b"".join(download) == photograph
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(b"old")
    assert client.download("there/3", copy) == stored.sha256
    assert copy.read_bytes() == photograph
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.jpg", "photograph.jpg"]


def test_what_cannot_seek_is_read_first(client: Client) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert client.upload("pipe", Pipe(A)).size_bytes == len(A)


def test_renditions_by_parameters(client: Client) -> None:
    client.upload("r", photographs(1)[0].body)
    small = client.get("r", w=40, h=30, fit="cover", format="webp", dpr=1.5)
    assert small.startswith(b"RIFF")
    assert client.image_url("r ü", w=40, ar="16:9", dpr=1.5).endswith("/images/r%20%C3%BC?w=40&ar=16:9&dpr=1.5")
    with pytest.raises(InvalidRequest, match="fit is"):
        client.get("r", w=40, fit="contain")  # type: ignore[arg-type]


def test_metadata_pages_and_all(client: Client) -> None:
    for number in range(5):
        client.upload(f"page/{number}", A)
    found = client.info("page/3")
    assert (found.format, found.width, found.height, found.url) == ("PNG", 8, 6, "/images/page/3")
    assert found.to_json()["immutable_url"].startswith("/images/page/3?v=")
    first = client.list("page/", limit=3)
    assert [image.key for image in first.images] == ["page/0", "page/1", "page/2"]
    rest = client.list("page/", cursor=first.next)
    assert ([image.key for image in rest.images], rest.next) == (["page/3", "page/4"], None)
    assert [image.key for image in client.iterate("page/")] == [f"page/{number}" for number in range(5)]


def test_conditions(client: Client) -> None:
    first = client.upload("c", A, if_none_match="*")
    with pytest.raises(PreconditionFailed):
        client.upload("c", B, if_none_match="*")
    second = client.upload("c", B, if_match=first.etag)
    for stale in (
        lambda: client.upload("c", A, if_match=first.etag),
        lambda: client.get("c", if_match=first.etag),
        lambda: client.delete("c", if_match=first.etag),
    ):
        with pytest.raises(PreconditionFailed):
            stale()
    assert client.get("c", if_match=second.etag) == B
    client.delete("c", if_match=second.etag)


def test_the_trash(client: Client) -> None:
    client.upload("t/1", A)
    client.upload("t/1", B)
    client.delete("t/1")
    entries = list(client.trash("t/"))
    assert [(entry.key, entry.version) for entry in entries] == [("t/1", 1), ("t/1", 2)]
    assert client.restore("t/1").id == entries[1].id
    assert client.get("t/1") == B
    first, unknown = client.restore_entries([entries[0].id, 10**9])
    assert (first.key, first.error) == ("t/1", None)
    assert isinstance(unknown.error, NotFound)
    with pytest.raises(NotFound):
        client.restore("t/none")
    assert client.get("t/1") == A
    assert client.purge_trash("t/") == 1


def test_who_may_see_an_image_and_links_that_open_it(client: Client, site: RealSite) -> None:
    client.upload("secret", photographs(1)[0].body, visibility="private")
    assert client.info("secret").visibility == "private"
    with Client(site.url, retries=NO_RETRIES) as visitor, pytest.raises(NotFound):
        visitor.get("secret")
    link = client.link("secret", 60, w=400)
    assert link.url.startswith(f"{site.url}/images/secret?")
    assert link.expires_at > time.time()
    made = urllib3.request(
        "POST",
        f"{site.url}/api/signing-keys",
        json={"name": "backend"},
        headers={"Authorization": f"Bearer {site.token}"},
    ).json()
    with Client(site.url, signing_key=SigningKey(made["id"], made["secret"])) as backend:
        signed = backend.sign_link("secret", 60, w=400)
    assert opened(link.url) == opened(signed) == client.get("secret", w=400)
    assert urllib3.request("GET", signed.replace("w=400", "w=480")).status == 403


def test_images_get_other_keys_and_viewers(client: Client, patient: Client, proxy: FaultProxy) -> None:
    stored = client.upload("m/1", A)
    moved = client.move("m/1", "m/2")
    assert (moved.key, moved.sha256, moved.created_at) == ("m/2", stored.sha256, stored.created_at)
    client.upload("m/1", B)
    with pytest.raises(Conflict):
        client.move("m/1", "m/2")
    with pytest.raises(NotFound):
        client.move("m/none", "m/3")
    proxy.put_in_the_way("PATCH", losing_the_answer)
    assert patient.move("m/1", "m/3").key == "m/3"
    proxy.put_in_the_way("PATCH", losing_the_answer)
    assert patient.set_visibility("m/3", "members").visibility == "members"
    assert [image.key for image in client.iterate("m/", visibility="members")] == ["m/3"]


def test_many_changes_at_once(client: Client) -> None:
    for number in range(3):
        client.upload(f"n/{number}", picture(50 + number))
    results = client.batch(
        [Move("n/0", "n/9"), SetVisibility("n/1", "private"), Delete("n/none"), Move("n/9", "n/8"), Delete("n/2")]
    )
    assert [type(result.error) for result in results] == [type(None), type(None), NotFound, type(None), type(None)]
    assert results[2].operation == Delete("n/none")
    assert [(image.key, image.visibility) for image in client.iterate("n/")] == [("n/1", "private"), ("n/8", "public")]
    digests = [hashlib.sha256(picture(50 + number)).hexdigest() for number in range(3)]
    assert client.have(digests) == {digests[0]: "n/8", digests[1]: "n/1"}
    assert client.batch([]) == []
    assert client.have([]) == {}


def test_an_upload_link_takes_one_image_from_anybody(client: Client) -> None:
    link = client.upload_link(key="from/outside", max_bytes=10_000, expires_in=60, visibility="private")
    assert urllib3.request("PUT", link.url, body=A).status == 201
    assert urllib3.request("PUT", link.url, body=A).status == 409
    stored = client.info("from/outside")
    assert (stored.visibility, stored.owner) == ("private", "admin")
    below = client.upload_link(prefix="inbox/", expires_in=60)
    assert urllib3.request("PUT", below.url.replace("{name}", "a"), body=A).status == 201
    assert client.get("inbox/a") == A


def opened(url: str) -> bytes:
    """What anybody gets at an address."""
    answer = urllib3.request("GET", url)
    assert answer.status == 200, answer.data
    return answer.data


def test_errors_say_what_the_server_said(client: Client, site: RealSite) -> None:
    with pytest.raises(NotFound, match="none-such") as caught:
        client.info("none-such")
    assert (caught.value.status, caught.value.slug) == (404, "not-found")
    assert caught.value.request_id
    assert caught.value.detail == str(caught.value)
    with pytest.raises(ElasticImagesError) as refused:
        client.upload("text", b"no image")
    assert (refused.value.status, refused.value.slug) == (415, "not-an-image")
    with pytest.raises(InvalidRequest, match="slash"):
        client.get("/k")
    with Client(site.url, retries=NO_RETRIES) as visitor, pytest.raises(Unauthenticated):
        visitor.upload("v", A)
    with Client(site.url + "/docs", token=site.token, retries=NO_RETRIES) as lost, pytest.raises(ElasticImagesError):
        lost.info("k")


@pytest.mark.parametrize("url", ["", "web", "ftp://x", "http://", "http://x?y", "http://[", "http://x#y"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InvalidRequest, match="URL"):
        Client(url)


def test_many_threads_share_a_client(client: Client) -> None:
    gate = threading.Barrier(8)

    def one(number: int) -> bytes:
        gate.wait(60)
        client.upload(f"threads/{number}", A)
        return client.get(f"threads/{number}")

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(one, range(8))) == {A}


BUSY = answering(503, b"", [("Retry-After", "0")])


@pytest.mark.parametrize("fault", [BUSY, answering(429, b""), answering(502, b"<html>"), refusing, losing_the_answer])
def test_calls_are_repeated(proxy: FaultProxy, patient: Client, fault: Callable[..., None]) -> None:
    proxy.put_in_the_way("PUT", fault, times=2)
    assert patient.upload("again", A).sha256 == hashlib.sha256(A).hexdigest()
    proxy.put_in_the_way("GET", fault, times=2)
    assert patient.get("again") == A
    proxy.put_in_the_way("GET", fault)
    assert patient.info("again").size_bytes == len(A)
    proxy.put_in_the_way("DELETE", fault)
    patient.delete("again")
    assert (proxy.count("PUT"), proxy.count("GET"), proxy.count("DELETE")) == (3, 5, 2)


def test_downloads_that_are_cut_off_begin_anew(proxy: FaultProxy, patient: Client, tmp_path: Path) -> None:
    photograph = photographs(1)[0].body
    patient.upload("cut", photograph)
    file = tmp_path / "file"
    proxy.put_in_the_way("GET", cutting_off(1000), times=2)
    assert patient.download("cut", file) == hashlib.sha256(photograph).hexdigest()
    assert file.read_bytes() == photograph
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    proxy.put_in_the_way("GET", cutting_off(1000))
    with pytest.raises(NoAnswer), patient.open("cut") as download:
        b"".join(download)


def test_damaged_bytes_are_not_taken(proxy: FaultProxy, site: RealSite) -> None:
    with Client(proxy.url, token=site.token, retries=NO_RETRIES) as client:
        etag = client.upload("damaged", A).etag
        proxy.put_in_the_way("GET", answering(200, A[:-1] + b"x", [("ETag", etag)]))
        with pytest.raises(NoAnswer, match="damaged"):
            client.get("damaged")
        # What pays no attention to conditions gives another image.
        proxy.put_in_the_way("GET", answering(200, B, [("ETag", '"other"')]))
        with pytest.raises(PreconditionFailed):
            client.get("damaged", if_match=etag)


def test_a_conditional_upload_whose_answer_was_lost_is_known_again(proxy: FaultProxy, patient: Client) -> None:
    proxy.put_in_the_way("PUT", losing_the_answer)
    stored = patient.upload("lost", A, if_none_match="*")
    assert (stored.created, stored.sha256) == (True, hashlib.sha256(A).hexdigest())
    proxy.put_in_the_way("PUT", losing_the_answer)
    assert patient.upload("lost", B, if_match=stored.etag).sha256 == hashlib.sha256(B).hexdigest()


def test_a_conditional_upload_does_not_replace_anothers(proxy: FaultProxy, patient: Client, client: Client) -> None:
    def overtaken(handler: object, _body: bytes) -> None:
        client.upload("race", B)
        refusing(handler, b"")  # type: ignore[arg-type]

    proxy.put_in_the_way("PUT", overtaken)
    with pytest.raises(PreconditionFailed):
        patient.upload("race", A, if_none_match="*")
    assert client.get("race") == B


def test_a_restore_whose_answer_was_lost_is_not_repeated(proxy: FaultProxy, patient: Client) -> None:
    patient.upload("once", A)
    patient.delete("once")
    proxy.put_in_the_way("POST", losing_the_answer)
    with pytest.raises(NoAnswer):
        patient.restore("once")
    assert proxy.count("POST") == 1
    assert patient.get("once") == A


def test_redirects_and_others_answers_are_no_answers(proxy: FaultProxy, site: RealSite) -> None:
    with Client(proxy.url, token=site.token, retries=NO_RETRIES) as client:
        proxy.put_in_the_way("GET", answering(301, b"", [("Location", "https://elsewhere.example/")]))
        with pytest.raises(UnexpectedAnswer, match=r"redirects to https://elsewhere.example/"):
            client.info("k")
        for body in (b"<html>", b"[]", b"{}", b""):
            proxy.put_in_the_way("GET", answering(200, body))
            with pytest.raises(UnexpectedAnswer):
                client.info("k")
        proxy.put_in_the_way("GET", answering(404, b"<html>"))
        with pytest.raises(UnexpectedAnswer, match="answered 404"):
            client.info("k")
        newer = b'{"type": "https://elastic-images.example/problems/newer", "status": 403, "detail": "New."}'
        proxy.put_in_the_way("GET", answering(403, newer))
        with pytest.raises(Forbidden, match="New") as caught:
            client.info("k")
        assert (caught.value.slug, caught.value.status) == ("newer", 403)


def test_nobody_there() -> None:
    with Client("http://127.0.0.1:1", retries=NO_RETRIES) as client, pytest.raises(NotConnected) as caught:
        client.info("k")
    assert str(caught.value) == "127.0.0.1:1 does not answer."


def test_a_file_that_changes_meanwhile_is_told(proxy: FaultProxy, site: RealSite, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(A)

    class Shrinking(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            file.write_bytes(b"")
            return super().read(-1 if size is None else size) or b""

    with (
        Client(site.url, token=site.token, retries=NO_RETRIES) as client,
        Shrinking(file) as stream,
        pytest.raises(Conflict, match="shorter"),
    ):
        client.upload("shrinking", stream)
    proxy.put_in_the_way("PUT", answering(201, b'{"sha256": "x"}'))
    with Client(proxy.url, retries=NO_RETRIES) as client, pytest.raises(UnexpectedAnswer):
        client.upload("k", A)


def test_a_busy_server_is_unavailable_in_the_end(proxy: FaultProxy, site: RealSite) -> None:
    proxy.put_in_the_way("GET", BUSY, times=1000)
    with Client(proxy.url, token=site.token, retries=Retries(0.5)) as client, pytest.raises(Unavailable, match="503"):
        client.info("k")
    assert proxy.count("GET") > 1
