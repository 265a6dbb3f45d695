"""A page of another origin stores an image by an upload link, and reads images that are public or signed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser
from testing.photographs import photographs
from testing.system import System

PHOTO = photographs(1)[0].body
STORE = """
async ([url, bytes]) => {
  const headers = { "Content-Type": "image/jpeg" };
  const answer = await fetch(url, { method: "PUT", body: new Uint8Array(bytes), headers });
  return [answer.status, (await answer.json()).key];
}
"""
READ = """
async (url) => {
  try {
    const answer = await fetch(url);
    return [answer.status, (await answer.arrayBuffer()).byteLength];
  } catch {
    return "unreadable";
  }
}
"""


class Page(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def made(system: System, path: str, **body: Any) -> str:
    answer = system.admin().request("POST", path, body=json.dumps({"expires_in": 3600, **body}).encode())
    assert answer.status == 200, answer.body
    return str(answer.json["url"])


def test_a_page_of_another_origin(browser: Browser, system: System, elsewhere: str) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    url = made(system, "/api/upload-links", key="from elsewhere.jpg", visibility="private")
    assert page.evaluate(STORE, [url, list(PHOTO)]) == [201, "from elsewhere.jpg"]
    assert page.evaluate(STORE, [url, list(PHOTO)]) == [409, None]
    assert page.evaluate(READ, made(system, "/api/links", key="from elsewhere.jpg")) == [200, len(PHOTO)]
    assert page.evaluate(READ, f"{system.url()}/images/from%20elsewhere.jpg") == "unreadable"
    system.admin().put("public.jpg", PHOTO)
    assert page.evaluate(READ, f"{system.url()}/images/public.jpg") == [200, len(PHOTO)]
    assert page.evaluate(READ, f"{system.url()}/api/images") == "unreadable"
    page.close()
