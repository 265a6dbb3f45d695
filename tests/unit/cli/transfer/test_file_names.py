"""File names of an export: no two the same on any file system, and each one allowed on all of them."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from testing.keys import is_key

from elastic_images.cli.transfer.file_names import SUFFIXES, file_name
from elastic_images.imaging.formats import FORMATS

RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in "0123456789¹²³")}
ODD_KEYS = [
    "a",
    "a/b",
    "A",
    "A/b",
    "con",
    "CON.jpg",
    "aux/nul.png",
    "com1",
    "LPT9.tif",
    "dot.",
    "space ",
    " space",
    ". .",
    "..a",
    "ä",
    "Ä",
    "a¨",
    "ﬁ",
    "fi",
    "ß",
    "ss",
    "İ",
    "图",
    "😀" * 255,
    "x" * 255,
    "x/" * 127 + "x",
    "a:b",
    'a"b<>|?*',
    "a\\b",
    "-",
    "images/aa/x.jpg",
    "%2e%2e",
    "~",
    ".hidden",
    "photo.jpg",
    "photo.jpeg",
    "photo.JPG",
]


KEYS = (
    st.text(min_size=1, max_size=255).map(lambda text: unicodedata.normalize("NFC", text)).filter(is_key)
    | st.text("aAbB./ -äÄ", min_size=1, max_size=6).filter(is_key)
    | st.sampled_from(ODD_KEYS)
)
FORMATS_OF_IMAGES = st.sampled_from(sorted(FORMATS))


def as_a_file_system_sees_it(path: str) -> str:
    """The same for all names that some file system takes for one: case, normal forms, what Windows cuts off."""
    parts = [unicodedata.normalize("NFKD", part.casefold()).rstrip(" .") for part in path.split("/")]
    return "/".join(parts)


@given(KEYS, FORMATS_OF_IMAGES)
@example("con", "JPEG")
@example("dot.", "PNG")
@example("x/" * 127 + "x", "GIF")
def test_every_file_system_can_hold_the_name(key: str, format_: str) -> None:
    path = file_name(key, format_)
    assert re.fullmatch(r"images/[0-9a-f]{2}/[a-z0-9-]+\.[a-z]+", path)
    name = path.rpartition("/")[2]
    assert len(path) <= 100
    assert not name.startswith("-")
    assert name.split(".")[0] not in RESERVED
    assert "--" not in name
    assert name.endswith(f".{SUFFIXES[format_]}")


@given(KEYS, KEYS, FORMATS_OF_IMAGES, FORMATS_OF_IMAGES)
@example("a", "A", "PNG", "PNG")
@example("a", "a/b", "PNG", "PNG")
@example("ß", "ss", "PNG", "PNG")
def test_no_two_keys_have_one_name(one: str, other: str, format_: str, other_format: str) -> None:
    same = as_a_file_system_sees_it(file_name(one, format_)) == as_a_file_system_sees_it(file_name(other, other_format))
    assert same == ((one, format_) == (other, other_format))


def test_odd_keys_are_all_apart_and_none_is_a_folder_of_another() -> None:
    names = {as_a_file_system_sees_it(file_name(key, "JPEG")) for key in ODD_KEYS}
    assert len(names) == len(ODD_KEYS)
    assert {name.count("/") for name in names} == {2}


@pytest.mark.parametrize(
    ("key", "readable"),
    [
        ("holidays/Beach 1.JPG", "holidays-beach-1"),
        ("café.png", "cafe"),
        ("图.png", ""),
        ("v1.2", "v1-2"),
        ("long/" * 20 + "name.tiff", "long-long-long-long-long-long-long-name"),
    ],
)
def test_a_person_can_guess_whose_file_it_is(key: str, readable: str) -> None:
    name = file_name(key, "PNG").rpartition("/")[2]
    assert re.fullmatch(rf"{readable}{'-' if readable else ''}[0-9a-f]{{32}}\.png", name)


def test_every_format_has_a_suffix() -> None:
    assert SUFFIXES.keys() == FORMATS.keys()
