"""Makes the screenshots of the documentation: `python -m tests.browser.screenshots [WORD ...]`.

Every page of the table below, light and dark, on a desk and on a phone, into `docs/screenshots`; with words, only those
whose names hold one of them. A system of its own is started, filled with photographs and users, and used for a moment;
the half hour before that on the manager's charts is staged.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, StorageState, expect, sync_playwright
from testing.photographs import photographs
from testing.system import System, running
from testing.waiting import wait_for
from tests.browser import web_shots
from tests.browser.browsing import DESK, PHONE, Scheme, Visit, launch, visit

from elastic_images.core.keys import quote_key
from elastic_images.metrics.sample import Sample

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
PASSWORD = "a password for pictures"
LONG_NAME = "archive-of-the-botanical-garden@long-names.example.org"
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SIZES = {"desk": DESK, "phone": PHONE}
_TALLEST = {"desk": 1800, "phone": 1700}
_STAGED_MINUTES = 29
_FONT = """document.addEventListener("DOMContentLoaded", () => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`body { font-family: "Liberation Sans" }`);
  document.adoptedStyleSheets.push(sheet);
})"""
"""Where no desktop is installed, `system-ui` is a font that hardly anybody has as his own."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A page to be taken."""

    app: str
    name: str
    path: str
    before: Callable[[Page], object] | None = None
    """What is done on the page first."""
    is_logged_in: bool = True
    has_photographs: bool = False
    """Then the picture is a lossy one."""
    is_whole: bool = True
    """The whole page, not only what fits the window."""

    @property
    def title(self) -> str:
        """What its files begin with."""
        return f"{self.app}-{self.name}"


def _charts(page: Page) -> None:
    page.locator("#charts[data-drawn]").wait_for()


def _wrong_number(page: Page) -> None:
    page.get_by_label("Maximum miss rate").fill("1.5")
    page.locator("[data-checked=wrong]").wait_for()


def _question(page: Page) -> None:
    page.get_by_role("button", name="Clear all caches").click()
    page.get_by_role("dialog").wait_for()


def _resize(page: Page) -> None:
    expect(page.locator("svg.ring")).to_contain_text("settled", timeout=60_000)
    now = page.locator("label.size:has(:checked) .size-nodes").text_content()
    page.locator("label.size").nth(4 if now == "4" else 3).click()
    page.get_by_role("button", name="Set size").click()
    page.locator(".ring-rim").first.wait_for()


def _new_token(page: Page) -> None:
    labels = ("Nightly backup", "Newsletter", "Photo frame", "Student project")
    free = [label for label in labels if not page.get_by_role("row").filter(has_text=label).count()]
    page.get_by_label("What it is for").fill(free[0])
    page.get_by_role("button", name="Create").click()
    page.locator("#secret").wait_for()


MANAGER_SHOTS = (
    Shot("manager", "login", "/login", is_logged_in=False),
    Shot("manager", "dashboard", "/", _charts),
    Shot("manager", "charts", "/charts"),
    Shot("manager", "pool", "/pool"),
    Shot("manager", "pool-wrong-number", "/pool", _wrong_number),
    Shot("manager", "question", "/pool", _question, is_whole=False),
    Shot("manager", "pool-resizing", "/pool", _resize),
    Shot("manager", "events", "/events"),
    Shot("manager", "decisions", "/decisions"),
    Shot("manager", "resizes", "/resizes"),
    Shot("manager", "images", "/images"),
    Shot("manager", "users", "/users"),
    Shot("manager", "user", f"/users/{LONG_NAME}"),
    Shot("manager", "tokens", "/tokens", _new_token),
    Shot("manager", "account", "/account"),
    Shot("manager", "settings", "/settings"),
    Shot("manager", "not-found", "/nowhere"),
)
WEB_SHOTS = (
    Shot("web", "login", "/login", is_logged_in=False),
    Shot("web", "gallery", "/?order=key", web_shots.tiles_are_there, has_photographs=True),
    Shot("web", "folder", "/?prefix=holidays/", web_shots.tiles_are_there, has_photographs=True),
    Shot("web", "nothing-found", "/?prefix=zebra"),
    Shot("web", "upload", "/upload?folder=drawings"),
    Shot("web", "uploads", "/upload?folder=drawings", web_shots.upload_some, has_photographs=True),
    Shot("web", "image", f"/view/{quote_key(web_shots.ACCENTED_KEY)}", web_shots.image_is_there, has_photographs=True),
    Shot("web", "image-long-key", f"/view/{web_shots.LONG_KEY}", web_shots.image_is_there, has_photographs=True),
    Shot("web", "image-transparent", "/view/drawings/circles.png", web_shots.image_is_there),
    Shot("web", "delete", "/view/drawings/circles.png", web_shots.ask_to_delete, is_whole=False),
    Shot("web", "delete-without-script", "/delete/drawings/circles.png"),
    Shot("web", "account", "/account", web_shots.new_token),
    Shot("web", "not-found", "/view/nowhere"),
)
SHOTS = (*MANAGER_SHOTS, *WEB_SHOTS)


def main(words: list[str]) -> None:
    """Take the shots whose names hold one of `words`; all of them for no words."""
    shots = [shot for shot in SHOTS if not words or any(word in shot.title for word in words)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = {"admin_password": PASSWORD, "nodes": 3, "scaling_interval_seconds": 2, "cache_mb": 4}
    settings["warm_bytes_per_second"] = 50_000
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        running(Path(folder), **settings) as system,
    ):
        browser = launch(playwright)
        fill(system)
        state = _log_in(browser, system)
        for shot, scheme, size in itertools.product(shots, SCHEMES, SIZES):
            _take(browser, system, state, shot, scheme, size)
        browser.close()


def fill(system: System) -> None:
    """Photographs, users, tokens, a past for the charts, some reading, a resize and a few decisions."""
    admin = system.admin()
    stored = photographs(36)
    for photograph in stored:
        admin.put(photograph.name, photograph.body)
    web_shots.add_images(admin)
    _stage(system)
    _add_people(system)
    _scale_by_itself(system, [photograph.name for photograph in stored])


def _scale_by_itself(system: System, keys: list[str]) -> None:
    """Let automatic mode look for a while, and then grow the pool by one node."""
    autoscaler, readers = system.autoscaler(), system.client()
    autoscaler.update_config({"mode": "auto", "min_miss": 0.0, "max_miss": 0.9, "expand_ratio": 1.3})

    def decided(word: str) -> bool:
        for key in keys:
            readers.get(key)
        return word in autoscaler.decisions(1)[0]["reason"]

    wait_for(lambda: decided("between"), "the policy has looked", seconds=60)
    autoscaler.update_config({"max_miss": 0.002})
    wait_for(lambda: autoscaler.clear() and decided("from 3 to 4"), "the policy has grown the pool", seconds=60)
    autoscaler.update_config({"mode": "manual", "min_miss": 0.05, "max_miss": 0.3, "expand_ratio": 2})
    system.wait_settled(4)


def _add_people(system: System) -> None:
    manager = system.client(admin_token(system), app="manager")
    for name in ("ann", LONG_NAME, "bob"):
        manager.request("POST", "/api/users", body=json.dumps({"name": name, "password": PASSWORD}).encode())
    manager.request("PATCH", "/api/users/bob", body=b'{"disabled": true}')
    for user, label, scope in ((LONG_NAME, "sync of the herbarium", "write"), ("ann", "dashboard in the hall", "read")):
        body = {"user": user, "label": label, "scopes": [scope], "expires_seconds": 90 * 86_400}
        manager.request("POST", "/api/tokens", body=json.dumps(body).encode())


def admin_token(system: System) -> str:
    """The token of the command line."""
    return (system.data / "cli-token").read_text().strip()


def _stage(system: System) -> None:
    """Half an hour of samples, as three nodes would have sent them; with a gap of a minute."""
    now = time.time()
    samples = []
    for minute, slot in itertools.product(range(-_STAGED_MINUTES, 0), range(3)):
        if minute == -11:
            continue
        wave = math.sin((minute + slot) / 4)
        requests = round(700 + 320 * wave + 90 * slot + 9 * (minute % 7))
        misses = round(
            requests * (0.06 + 0.05 * math.sin(minute / 3) ** 2 + (0.3 if minute == -_STAGED_MINUTES else 0))
        )
        items = round(11 * (1 - math.exp((-_STAGED_MINUTES - minute) / 5)) + slot)
        end = now + 60 * minute
        samples.append(
            Sample(
                uuid.uuid4().hex, f"node-{slot}", "node", slot, end - 30, end, requests, requests - misses, misses,
                items=items, used_bytes=items * 61_000, capacity_bytes=8_000_000,
            )
        )  # fmt: skip
    system.autoscaler().publish([sample.to_json() for sample in samples])


def _log_in(browser: Browser, system: System) -> StorageState:
    with visit(browser, system.url("manager")) as one:
        one.log_in("admin", PASSWORD)
        return one.context.storage_state()


def _take(browser: Browser, system: System, state: StorageState, shot: Shot, scheme: Scheme, size: str) -> None:
    options: dict[str, Any] = {"device_scale_factor": 2 if size == "phone" else 1}
    if shot.is_logged_in:
        options["storage_state"] = state
    with visit(browser, system.url(shot.app), scheme=scheme, size=SIZES[size], **options) as one:
        one.forgive("4[01][0-9]")
        one.page.add_init_script(_FONT)
        page = one.go(shot.path)
        if shot.before is not None:
            shot.before(page)
        _save(one, shot, FOLDER / f"{shot.title}-{scheme}-{size}.webp", size)


def _save(one: Visit, shot: Shot, path: Path, size: str) -> None:
    if shot.is_whole:
        one.page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    height = one.page.evaluate("document.documentElement.scrollHeight")
    width = SIZES[size][0]
    tall: FloatRect = {"x": 0, "y": 0, "width": width, "height": SIZES[size][1]}
    if shot.is_whole:
        tall["height"] = min(max(height, SIZES[size][1]), _TALLEST[size])
    taken = Image.open(io.BytesIO(one.page.screenshot(full_page=shot.is_whole, clip=tall))).convert("RGB")
    taken.save(path, lossless=not shot.has_photographs, quality=85, method=6)
    print(path.name, f"{path.stat().st_size / 1000:.0f} KB")  # noqa: T201 - a command


if __name__ == "__main__":
    main(sys.argv[1:])
