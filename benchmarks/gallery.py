"""Does a page of new photographs come whole on a slow machine?

    python -m benchmarks.gallery [--images 48] [--busy 4] [--json FILE]

Uploads 12-megapixel photographs, keeps the processors busy, and scrolls through the gallery in Chromium. Wanted: every
thumbnail arrives without a reload, and none is made twice.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Page, Response, sync_playwright
from testing.photographs import SOURCES, data_folder
from testing.system import System, running
from tests.browser.browsing import launch, visit

from benchmarks.lib.busy import busy_processes
from benchmarks.lib.facts import facts
from benchmarks.lib.renditions_made import renditions_made
from benchmarks.lib.stopping import in_order

_SIZE = (4000, 3000)
_NODES = 2
_PASSWORD = "a password for a gallery"  # noqa: S105
_WAIT_MS = 300_000
_STEP = 400
_ARRIVED = """() => {
  const images = [...document.querySelectorAll(".tile img")];
  return images.filter((image) => image.complete && image.naturalWidth > 0).length;
}"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48, help="how many photographs; a page has up to 48")
    parser.add_argument("--busy", type=int, default=2 * (os.cpu_count() or 1), help="how many busy processes")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gallery-") as name:
        known = facts(Path(name))
        with running(Path(name) / "system", nodes=_NODES, admin_password=_PASSWORD) as system:
            figures = _measure(system, options.images, options.busy)
    for what, value in figures.items():
        print(f"| {what} | {value} |", flush=True)
    reached = (
        figures["arrived"] == options.images
        and not figures["failed"]
        and figures["made by nodes"] == figures["different addresses"]
        and not figures["made by storage"]
    )
    print(f"all arrive, none is made twice: {'reached' if reached else 'missed'}")
    if options.json:
        options.json.write_text(json.dumps({"facts": known, **figures}, indent=2))
    return 0 if reached else 1


def _measure(system: System, images: int, busy: int) -> dict[str, Any]:
    def put(number: int) -> None:
        answer = system.admin().put(f"photo-{number:02d}.jpg", _photograph(number))
        assert answer.status == 201, answer.body

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(put, range(images)))
    with busy_processes(busy), sync_playwright() as playwright:
        browser = launch(playwright)
        with visit(browser, system.url("web")) as one:
            one.log_in("admin", _PASSWORD, "/?prefix=none/")  # a page without thumbnails
            seen = _look(one.page, one.url, images)
        load = os.getloadavg()[0]
        browser.close()
    return {
        "photographs": images,
        "load average": round(load, 1),
        **seen,
        "made by nodes": sum(renditions_made(system.port("memcache") + slot) for slot in range(_NODES)),
        "made by storage": renditions_made(system.port("storage")),
    }


def _photograph(number: int) -> bytes:
    with Image.open(data_folder() / SOURCES[number % len(SOURCES)]) as opened:
        image = opened.convert("RGB").rotate(90 * (number // len(SOURCES)), expand=True)
    made = io.BytesIO()
    image.resize(_SIZE, Image.Resampling.BICUBIC).save(made, "JPEG", quality=92)
    return made.getvalue()


def _look(page: Page, url: str, images: int) -> dict[str, Any]:
    """Scroll through the gallery; what came of its thumbnails."""
    answers: list[tuple[str, int, str]] = []

    def note(response: Response) -> None:
        parts = urlsplit(response.url)
        if parts.path.startswith("/images/"):
            answers.append((f"{parts.path}?{parts.query}", response.status, response.headers.get("x-cache", "")))

    page.on("response", note)
    page.goto(f"{url}/", wait_until="commit")
    page.locator(".tile").nth(images - 1).wait_for(state="attached", timeout=_WAIT_MS)
    began = time.monotonic()
    for at in range(0, int(page.evaluate("document.body.scrollHeight")) + _STEP, _STEP):
        page.evaluate("(at) => scrollTo(0, at)", at)
        page.wait_for_timeout(100)
    until = time.monotonic() + _WAIT_MS / 1000
    while (arrived := page.evaluate(_ARRIVED)) < images and time.monotonic() < until:
        page.wait_for_timeout(250)
    seconds = time.monotonic() - began
    return {
        "arrived": arrived,
        "seconds": round(seconds, 1),
        "requests": len(answers),
        "different addresses": len({address for address, _, _ in answers}),
        "failed": sum(status not in (200, 304) for _, status, _ in answers),
        "bypassed the pool": sum(cache == "BYPASS" for _, _, cache in answers),
    }


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
