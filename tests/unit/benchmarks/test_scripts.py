from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.lib.scripts import Scripts, quoted


def test_headers_are_in_the_script(tmp_path: Path) -> None:
    text = Scripts(tmp_path).one({"Authorization": "Bearer abc", "If-None-Match": '"x"'}).read_text()
    assert 'wrk.headers["Authorization"] = "Bearer abc"\n' in text
    assert 'wrk.headers["If-None-Match"] = "\\"x\\""\n' in text
    assert "function done(" in text
    assert "function request(" not in text


def test_paths_are_in_a_file_of_their_own_in_their_order(tmp_path: Path) -> None:
    script = Scripts(tmp_path).in_turn(["/images/b", "/images/a", "/images/b"], {})
    listed = next(tmp_path.glob("*.txt"))
    assert listed.read_text() == "/images/b\n/images/a\n/images/b\n"
    assert str(listed) in script.read_text()


def test_uploads_name_their_bodies_and_their_prefix(tmp_path: Path) -> None:
    script = Scripts(tmp_path).uploads("/api/images/up/1/", [tmp_path / "a.jpg"], {})
    assert next(tmp_path.glob("*.txt")).read_text() == f"{tmp_path}/a.jpg\n"
    assert 'wrk.format("PUT", "/api/images/up/1/" .. number' in script.read_text()


def test_scripts_do_not_overwrite_each_other(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path)
    assert len({scripts.one({}), scripts.one({}), scripts.in_turn(["/a"], {})}) == 3


@pytest.mark.parametrize("text", ["line\nbreak", "caf\u00e9", "\0"])
def test_what_is_not_plain_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="not plain ASCII"):
        quoted(text)
