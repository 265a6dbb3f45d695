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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, StorageState, sync_playwright
from tests.browser.browsing import DESK, PHONE, Scheme, Visit, launch, visit
from tests.photographs import photographs
from tests.system.harness import System, running

from elastic_images.metrics.sample import Sample

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
PASSWORD = "a password for pictures"
LONG_NAME = "archive-of-the-botanical-garden@long-names.example.org"
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SIZES = {"desk": DESK, "phone": PHONE}
_TALLEST = {"desk": 1800, "phone": 1700}
_STAGED_MINUTES = 29
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><include>/etc/fonts/fonts.conf</include>
<match target="pattern"><test name="family"><string>system-ui</string></test>
<edit name="family" mode="assign" binding="strong"><string>Liberation Sans</string></edit></match></fontconfig>"""


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
    """Then all colours are kept, which costs space."""

    @property
    def title(self) -> str:
        """What its files begin with."""
        return f"{self.app}-{self.name}"


def _charts(page: Page) -> None:
    page.locator("#charts[data-drawn]").wait_for()


def _wrong_number(page: Page) -> None:
    page.get_by_label("Grow above a miss rate of").fill("1.5")
    page.locator("[data-checked=wrong]").wait_for()


def _question(page: Page) -> None:
    page.get_by_role("button", name="Clear all caches").click()
    page.get_by_role("dialog").wait_for()


def _new_token(page: Page) -> None:
    page.get_by_label("What it is for").fill("Nightly backup")
    page.get_by_role("button", name="Create").click()
    page.locator("#secret").wait_for()


MANAGER_SHOTS = (
    Shot("manager", "login", "/login", is_logged_in=False),
    Shot("manager", "dashboard", "/", _charts),
    Shot("manager", "charts", "/charts"),
    Shot("manager", "pool", "/pool"),
    Shot("manager", "pool-wrong-number", "/pool", _wrong_number),
    Shot("manager", "question", "/pool", _question),
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
WEB_SHOTS: tuple[Shot, ...] = ()
SHOTS = (*MANAGER_SHOTS, *WEB_SHOTS)


def main(words: list[str]) -> None:
    """Take the shots whose names hold one of `words`; all of them for no words."""
    shots = [shot for shot in SHOTS if not words or any(word in shot.title for word in words)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = {"admin_password": PASSWORD, "nodes": 3, "scaling_interval_seconds": 5, "cache_mb": 8}
    with (
        tempfile.TemporaryDirectory() as folder,
        _browser(Path(folder)) as browser,
        running(Path(folder), **settings) as system,
    ):
        fill(system)
        state = _log_in(browser, system)
        for shot, scheme, size in itertools.product(shots, SCHEMES, SIZES):
            _take(browser, system, state, shot, scheme, size)


def fill(system: System) -> None:
    """Photographs, users, tokens, a past for the charts, some reading, a resize and a few decisions."""
    admin = system.admin()
    stored = photographs(36)
    for photograph in stored:
        admin.put(photograph.name, photograph.body)
    _stage(system)
    _add_people(system)
    system.autoscaler().update_config({"mode": "auto", "min_miss": 0.01, "max_miss": 0.9})
    readers = system.client()
    end = time.monotonic() + 12
    for photograph in itertools.cycle(stored):
        readers.get(photograph.name)
        if time.monotonic() > end:
            break
    system.autoscaler().update_config({"mode": "manual", "min_miss": 0.05, "max_miss": 0.3})
    system.scale(4)
    for photograph in stored * 3:
        readers.get(photograph.name)


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


@contextmanager
def _browser(folder: Path) -> Iterator[Browser]:
    """Chromium with the plain sans-serif that most systems have."""
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = launch(playwright, FONTCONFIG_FILE=str(fonts))
        yield browser
        browser.close()


def _log_in(browser: Browser, system: System) -> StorageState:
    with visit(browser, system.url("manager")) as one:
        one.log_in("admin", PASSWORD)
        return one.context.storage_state()


def _take(browser: Browser, system: System, state: StorageState, shot: Shot, scheme: Scheme, size: str) -> None:
    options: dict[str, Any] = {"device_scale_factor": 2 if size == "phone" else 1}
    if shot.is_logged_in:
        options["storage_state"] = state
    with visit(browser, system.url(shot.app), scheme=scheme, size=SIZES[size], **options) as one:
        one.forgive("40[0-9]")
        page = one.go(shot.path)
        if shot.before is not None:
            shot.before(page)
        _save(one, shot, FOLDER / f"{shot.title}-{scheme}-{size}.png", size)


def _save(one: Visit, shot: Shot, path: Path, size: str) -> None:
    one.page.evaluate("document.fonts.ready")
    height = one.page.evaluate("document.documentElement.scrollHeight")
    width = SIZES[size][0]
    tall: FloatRect = {"x": 0, "y": 0, "width": width, "height": min(max(height, SIZES[size][1]), _TALLEST[size])}
    taken = Image.open(io.BytesIO(one.page.screenshot(full_page=True, clip=tall))).convert("RGB")
    if not shot.has_photographs:
        taken = taken.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    taken.save(path, optimize=True)
    print(path.name, f"{path.stat().st_size / 1000:.0f} KB")  # noqa: T201 - a command


if __name__ == "__main__":
    main(sys.argv[1:])
