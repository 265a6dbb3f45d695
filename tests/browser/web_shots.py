"""What `screenshots.py` takes of web: images with keys of every kind, and what is done on a page before it is taken."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, Route, expect
from testing.client import Client
from testing.photographs import data_folder, photographs

ACCENTED_KEY = "holidays/2026/Šibenik — une tasse au café d’été.png"
LONG_KEY = (
    "scans/" + "archive-of-the-botanical-garden/" * 5 + "a-name-that-somebody-typed-out-in-full-on-a-long-day.png"
)
_STAY_AT_FORTY_PERCENT = """() => {
  const { open, send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (...words) {
    this.address = words[1];
    return open.apply(this, words);
  };
  XMLHttpRequest.prototype.send = function (body) {
    if (!this.address.includes("slow")) return send.call(this, body);
    this.upload.dispatchEvent(new ProgressEvent("progress", { loaded: 4, total: 10, lengthComputable: true }));
  };
}"""
_FOLDERS = ("holidays/2026", "work/microscope", "holidays/2025")


def add_images(client: Client) -> None:
    """Photographs in folders, a long key, one with accents, a transparent drawing and a tiny one."""
    large = photographs(46)[36:]
    for number, photograph in enumerate(large):
        client.put(f"{_FOLDERS[number % 3]}/{photograph.name.rpartition('/')[2]}", photograph.body)
    client.put(LONG_KEY, large[1].body)
    client.put(ACCENTED_KEY, (data_folder() / "coffee.png").read_bytes())
    client.put("drawings/circles.png", _drawing(480))
    client.put("icon.png", _drawing(32))


def upload_some(page: Page) -> None:
    """Uploads in every state: stored, under way, a question, failed."""

    def take(route: Route) -> None:
        route.fulfill(status=201, json={})

    page.evaluate(_STAY_AT_FORTY_PERCENT)
    page.route("**/api/images/**/new*", take)
    names = ("new-arrival.jpg", "circles.png", "slow-train.jpg")
    files: list[FilePayload] = [
        {"name": name, "mimeType": "image/jpeg", "buffer": photograph.body}
        for name, photograph in zip(names, (one for one in photographs(12) if one.name.endswith("jpg")), strict=False)
    ]
    files.append({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"words"})
    page.locator("#files").set_input_files(files)
    expect(page.locator("[data-summary]")).to_have_text("1 of 4 files uploaded, 1 failed, 1 needs your decision.")


def ask_to_delete(page: Page) -> None:
    """The dialog."""
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").wait_for()


def image_is_there(page: Page) -> None:
    """The picture has come, and the cache was asked."""
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 0")
    expect(page.locator("#cached")).to_contain_text("X-Cache:")


def tiles_are_there(page: Page) -> None:
    """Those thumbnails that a window shows have come."""
    page.wait_for_function(
        """() => [...document.querySelectorAll('.tile img')]
          .filter((image) => image.getBoundingClientRect().top < innerHeight)
          .every((image) => image.complete && image.naturalWidth > 0)"""
    )


def new_token(page: Page) -> None:
    """A token that was just made."""
    page.locator("#new-token").get_by_label("Name", exact=True).fill("Nightly backup")
    page.get_by_role("button", name="Create token").click()
    page.locator("#secret").wait_for()


def _drawing(size: int) -> bytes:
    image, body = Image.new("RGBA", (size, size)), io.BytesIO()
    draw = ImageDraw.Draw(image)
    for number, colour in enumerate(("#8cc4ea", "#f4bd59", "#79cfab", "#e3a8cb")):
        edge = size * number // 10
        draw.ellipse((edge, edge, size - edge, size - edge), outline=colour, width=max(1, size // 24))
    image.save(body, "PNG")
    return body.getvalue()
