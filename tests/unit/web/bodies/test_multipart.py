from __future__ import annotations

import errno
import io
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from elastic_images.core.errors import (
    ElasticImagesError,
    IncompleteBody,
    InvalidRequest,
    LengthRequired,
    OutOfSpace,
    TooLarge,
)
from elastic_images.web.bodies import multipart
from elastic_images.web.bodies.multipart import FieldPart, FilePart

KIND = "multipart/form-data; boundary=b"


class Slow(io.BytesIO):
    """A stream that gives few bytes at a time, in chunks of varying length."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self._sizes = sizes
        self._turn = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._turn += 1
        return super().read(min(size or 0, self._sizes[self._turn % len(self._sizes)]))


def form(*parts: tuple[str, str | None, bytes], end: bytes = b"--b--\r\n") -> bytes:
    """A multipart body with the boundary `b`; a part with a file name is a file."""
    body = b""
    for name, filename, data in parts:
        more = f'; filename="{filename}"' if filename is not None else ""
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + end


def read(
    body: bytes, *, kind: str = KIND, length: int | None = None, stream: io.BytesIO | None = None, **limits: Any
) -> list[tuple[str, object]]:
    """All parts of a form: names with text, or with file name and bytes."""
    environ = EnvironBuilder(method="POST").get_environ()
    environ |= {"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body) if length is None else length)}
    environ["wsgi.input"] = stream or io.BytesIO(body)
    bounds = {"max_body_bytes": 1_000_000, "max_file_bytes": 500_000, "max_parts": 4} | limits
    found: list[tuple[str, object]] = []
    with multipart.parts(Request(environ), **bounds) as parts:
        for part in parts:
            if isinstance(part, FieldPart):
                found.append((part.name, part.value))
            else:
                assert isinstance(part, FilePart)
                data = part.stream.read()
                assert len(data) == part.size_bytes
                found.append((part.name, (part.filename, data)))
    return found


@given(
    st.lists(st.tuples(st.sampled_from(["key", "file"]), st.sampled_from([None, "", "a.png"]), st.binary(max_size=80))),
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
)
def test_every_part_comes_out_as_it_went_in(parts: list[tuple[str, str | None, bytes]], sizes: list[int]) -> None:
    parts = [part for part in parts if b"--b" not in part[2]]
    wanted: list[tuple[str, object]] = []
    for name, filename, data in parts:
        text = data.decode("latin-1")
        wanted.append((name, text) if filename is None else (name, (filename, data)))
    sent = [(n, f, d.decode("latin-1").encode() if f is None else d) for n, f, d in parts]
    body = form(*sent)
    assert read(body, stream=Slow(body, sizes), max_parts=1000) == wanted


@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_form_that_is_cut_off_is_never_taken_for_whole(data: bytes, cut: int) -> None:
    body = form(("key", None, b"k1"), ("file", "a", data))
    cut = min(cut, len(body) - 3)  # what comes after the closing boundary is left aside
    for length in (len(body), cut):
        with pytest.raises(InvalidRequest):
            read(body[:cut], length=length)


def test_images_are_not_changed_by_line_breaks_in_them() -> None:
    for data in (b"\r\n", b"\r", b"\n\n", b"--", b"\r\n--", b"\r\n--a", b"x\r\n-", b"--\r\n", bytes(300_000) + b"\r\n"):
        assert read(form(("file", "a", data))) == [("file", ("a", data))]


def test_bytes_around_the_form_are_left_aside() -> None:
    assert read(form(("key", None, b"k1")) + b"epilogue") == [("key", "k1")]
    assert read(b"preamble\r\n" + form(("key", None, b"k1"), end=b"--b--")) == [("key", "k1")]
    assert read(form(end=b"--b--")) == []


def test_an_empty_part_may_share_its_line_break_with_the_boundary() -> None:
    body = form(("file", "a", b""), ("file", "b", b"x")).replace(b"\r\n\r\n\r\n--b", b"\r\n\r\n--b")
    assert read(body) == [("file", ("a", b"")), ("file", ("b", b"x"))]


def test_spaces_after_a_boundary_are_left_aside() -> None:
    body = form(("key", None, b"k1"), ("file", "a", b"x")).replace(b"--b\r\n", b"--b \t\r\n")
    assert read(body) == [("key", "k1"), ("file", ("a", b"x"))]


def test_names_of_files() -> None:
    def name(disposition: str) -> object:
        head = f"--b\r\nContent-Type: image/png\r\ncontent-disposition: {disposition}\r\n\r\n"
        found = read(head.encode() + b"x\r\n--b--\r\n")[0][1]
        assert isinstance(found, tuple)
        return found[0]

    assert name('form-data; name="file"; filename="été 🖼.png"') == "été 🖼.png"
    assert name('form-data; name="file"; filename="a%22b;c.png"') == 'a"b;c.png'
    assert name("form-data; name=\"file\"; filename*=UTF-8''%C3%A9.png") == "é.png"
    assert name('form-data; name="file"; filename=""') == ""


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"key=k1", "application/x-www-form-urlencoded", InvalidRequest),
        (b"{}", "application/json", InvalidRequest),
        (b"", "", InvalidRequest),
        (form(("key", None, b"k1")), "multipart/form-data", InvalidRequest),
        (form(("key", None, b"k1")), "multipart/form-data; boundary=é", InvalidRequest),
        (form(("key", None, b"k1")), "multipart/form-data; boundary=other", IncompleteBody),
        (b"nothing of a form", KIND, IncompleteBody),
        (b"--b\r\nX: no disposition\r\n\r\nx\r\n--b--\r\n", KIND, InvalidRequest),
        (b"--b\r\n\xff: \xff\r\n\r\nx\r\n--b--\r\n", KIND, InvalidRequest),
        (form(("key", None, b"\xe9")), KIND, InvalidRequest),
        (form(("key", None, b"k" * 70_000)), KIND, TooLarge),
        (form(*[("key", None, b"k")] * 5), KIND, TooLarge),
        (form(("file", "a", bytes(500_001))), KIND, TooLarge),
        (form(("file", "a", bytes(1_000_000))), KIND, TooLarge),
        (b"--b\r\n" + b"X: y\r\n" * 100_000, KIND, TooLarge),
        (b"x" * 900_000, KIND, IncompleteBody),
        (form(("key", None, b"k1"), end=b"--bother--\r\n"), KIND, InvalidRequest),
        (form(("key", None, b"k1"), end=b""), KIND, IncompleteBody),
        (form(("key", None, b"k1"), end=b"--b"), KIND, IncompleteBody),
    ],
)
def test_forms_that_are_refused(body: bytes, kind: str, error: type[ElasticImagesError]) -> None:
    with pytest.raises(error):
        read(body, kind=kind)


def test_a_form_without_a_length() -> None:
    environ = EnvironBuilder(method="POST").get_environ() | {"CONTENT_TYPE": KIND, "wsgi.input_terminated": True}
    environ |= {"wsgi.input": io.BytesIO(form(("key", None, b"k"))), "HTTP_TRANSFER_ENCODING": "chunked"}
    with (
        pytest.raises(LengthRequired),
        multipart.parts(Request(environ), max_body_bytes=9, max_file_bytes=9, max_parts=9),
    ):
        pass


def test_files_are_kept_on_disk_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Spool(SpooledTemporaryFile[bytes]):
        def __init__(self, **more: Any) -> None:
            super().__init__(**more)
            made.append(self)

    monkeypatch.setattr(multipart, "SpooledTemporaryFile", Spool)
    read(form(("file", "a", bytes(400_000))))
    with suppress(TooLarge):
        read(form(("file", "a", bytes(300_000)), ("file", "b", bytes(600_000))))
    assert [spool._rolled for spool in made] == [True, True, True]
    assert all(spool.closed for spool in made)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(SpooledTemporaryFile[bytes]):
        def write(self, _data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(multipart, "SpooledTemporaryFile", Full)
    with pytest.raises(OutOfSpace):
        read(form(("file", "a", b"x")))
