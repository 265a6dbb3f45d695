"""Where the command line looks for the system on a data folder."""

from __future__ import annotations

from pathlib import Path

from elastic_images.settings import Settings
from elastic_images.supervisor.running_urls import kept_urls, url_of


def load(data: Path, **flags: object) -> Settings:
    return Settings.load({"data": str(data), **flags}, {})


def test_what_up_was_given_need_not_be_repeated(tmp_path: Path) -> None:
    with kept_urls(load(tmp_path, port_offset="300")):
        assert url_of(load(tmp_path), "web") == "http://127.0.0.1:5300"
        assert url_of(load(tmp_path), "manager") == "http://127.0.0.1:5303"
        assert url_of(load(tmp_path, port_offset="100"), "web") == "http://127.0.0.1:5100", "what is said counts"
    assert url_of(load(tmp_path), "web") == "http://127.0.0.1:5000"


def test_a_file_that_makes_no_sense_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "run" / "urls.json"
    file.parent.mkdir()
    for text in ("", "[]", '{"web": 7}', "{"):
        file.write_text(text)
        assert url_of(load(tmp_path), "web") == "http://127.0.0.1:5000"
