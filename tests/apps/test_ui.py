"""The shared front end: addresses of files, the frame of a page, how values are shown."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient

import elastic_images.ui as ui_room
from elastic_images.ui import (
    CONTENT_SECURITY_POLICY,
    install,
    shown_count,
    shown_duration,
    shown_percent,
    shown_size,
    shown_time,
)
from elastic_images.ui.assets import Assets
from elastic_images.ui.neighbours import neighbour_url
from elastic_images.ui.values import shown_browser

STATIC = Path(ui_room.__file__).parent / "static"
PAGE = """
{% extends "ui/base.html" %}
{% from "ui/macros.html" import field, select_field, empty, bar, badge, secret, figure %}
{% block title %}A{% endblock %}
{% block main %}
{{ field("size", "Size", value='"><b>', hint="a hint", error="Too large.", min=1, required=true) }}
{{ select_field("mode", "Mode", [("a", "Always"), "never"], "never") }}
{% call empty("inbox", "Nothing") %}<p>Do something.</p>{% endcall %}
{{ bar("Filling", 1, 2) }}{{ bar("Waiting") }}{{ badge("live", "good") }}{{ secret("Once:", "s3cret") }}
{{ figure("Nodes", 3) }}
<script src="{{ asset('own/one.js') }}"></script>
{% endblock %}
"""


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    (tmp_path / "one.js").write_text("1;\n" * 100)
    app = Flask("elastic_images.tests")
    install(app, own=tmp_path)
    app.jinja_env.globals["form_token"] = lambda: "token"

    @app.get("/")
    def page() -> str:
        return render_template_string(PAGE, notice="Done <now>")

    return app.test_client()


def test_addresses_change_with_the_content_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a {}")
    before = Assets({"own": tmp_path})
    assert Assets({"own": tmp_path}).address("own/a.css") == before.address("own/a.css")
    (tmp_path / "b.js").write_text("1")
    after = Assets({"own": tmp_path})
    assert after.address("own/a.css") != before.address("own/a.css")
    with pytest.raises(KeyError):
        after.address("own/none.css")


def test_files_are_kept_for_ever_under_the_right_digest_only(client: FlaskClient) -> None:
    address = re.findall(r'src="(/assets/[^"]+/own/one.js)"', client.get("/").text)[0]
    answer = client.get(address)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    old = client.get("/assets/000000000000/own/one.js")
    assert old.data == answer.data
    assert old.headers["Cache-Control"] == "no-cache"
    assert client.get(address.replace("one", "two")).status_code == 404
    assert client.get(address.replace("one.js", "../../../pyproject.toml")).status_code == 404


def test_files_come_compressed_to_those_who_can_read_it(client: FlaskClient) -> None:
    address = re.findall(r'src="(/assets/[^"]+/own/one.js)"', client.get("/").text)[0]
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == client.get(address).data


def test_a_page_names_only_files_that_there_are_and_nothing_inline(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    for address in re.findall(r'(?:src|href)="(/assets/[^"#]+)', answer.text):
        assert client.get(address).status_code == 200, address
    assert not re.findall(r"<script(?![^>]*\ssrc=)", answer.text)
    assert not re.findall(r"\s(?:style|on[a-z]+)=", answer.text)
    assert "<style" not in answer.text


def test_the_pieces_of_a_page(client: FlaskClient) -> None:
    text = client.get("/").text
    assert 'value="&#34;&gt;&lt;b&gt;"' in text
    assert 'min="1" required="True"' in text
    assert 'aria-invalid="true"' in text
    assert '<option value="never" selected>' in text
    assert '<option value="a">Always' in text
    assert '<progress class="" aria-label="Waiting"></progress>' in text
    assert "Done &lt;now&gt;" in text


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    sprite = ElementTree.parse(STATIC / "icons.svg")  # noqa: S314 - our own file
    known = {symbol.get("id") for symbol in sprite.iter("{http://www.w3.org/2000/svg}symbol")}
    named = set()
    for template in Path(ui_room.__file__).parent.parent.glob("**/templates/**/*.html"):
        text = template.read_text(encoding="utf-8")
        named |= set(re.findall(r"""(?:icon|empty)\(["']([a-z0-9-]+)["']""", text))
        named |= set(re.findall(r"""nav_link\([^,]+, [^,]+, ["']([a-z0-9-]+)["']""", text))
    assert named <= known


@pytest.mark.parametrize("file", ["htmx.min.js", "uplot.min.js", "uplot.min.css"])
def test_what_is_vendored_is_named_with_its_licence(file: str) -> None:
    table = (STATIC / "vendor" / "README.md").read_text(encoding="utf-8")
    assert f"`{file}`" in table
    assert (STATIC / "vendor" / f"{file.partition('.')[0]}.LICENSE.txt").stat().st_size > 100


def test_no_file_of_ours_names_another_host() -> None:
    for path in STATIC.rglob("*"):
        if path.suffix in (".js", ".css", ".svg") and path.parent.name != "vendor":
            named = set(re.findall(r"https?://[^\s\"'<>)]+", path.read_text(encoding="utf-8")))
            assert named <= {"http://www.w3.org/2000/svg"}, path


@pytest.mark.parametrize(
    ("user_agent", "shown"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "Chrome 131 on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox 132 on Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
            "Safari 18 on macOS",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "Edge 131 on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
            "Safari 18 on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36",
            "Chrome 150 on Android",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16) SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
            "Samsung Internet 28 on Android",
        ),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/150.0 Safari/537.36", "Chrome 150 on ChromeOS"),
        ("curl/8.5.0", "curl 8"),
        ("a script of mine", "a script of mine"),
        ("", "unknown"),
    ],
)
def test_browsers(user_agent: str, shown: str) -> None:
    assert shown_browser(user_agent) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(None, "–"), (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (48_210, "48.2 KB"), (999_960, "1.0 MB")],
)
def test_sizes(size: int | None, shown: str) -> None:
    assert shown_size(size) == shown


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost:5003", "http://localhost:5000/"),
        ("images.example", "http://images.example:5000/"),
        ("[::1]:5003", "http://[::1]:5000/"),
        ("", None),
        (None, None),
        ("[", None),
    ],
)
def test_the_other_app_is_on_the_host_that_was_named(host: str | None, url: str | None) -> None:
    assert neighbour_url("http", host, 5000) == url


def test_other_values() -> None:
    assert shown_count(1234567) == "1,234,567"
    assert shown_count(1, "image") == "1 image"
    assert shown_count(0, "image") == "0 images"
    assert shown_count(None) == "–"
    assert shown_percent(0.1234) == "12.3 %"
    assert shown_percent(None) == "–"
    assert [shown_duration(one) for one in (None, 45, 720, 11_100, 187_200)] == [
        "–",
        "45 s",
        "12 min",
        "3 h 5 min",
        "2 d 4 h",
    ]
    assert shown_time(None) == "–"
    assert shown_time(0) == '<time datetime="1970-01-01T00:00:00+00:00">1970-01-01 00:00:00 UTC</time>'
    assert shown_time(0, "clock") == '<time datetime="1970-01-01T00:00:00+00:00" data-as="clock">00:00:00 UTC</time>'
