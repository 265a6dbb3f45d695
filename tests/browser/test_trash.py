"""The trash in web, and the manager's list of damaged images, on a desk and on a phone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect
from testing.storage_parts import picture
from testing.system import System
from testing.waiting import wait_for
from tests.browser.browsing import PHONE, Visit
from tests.browser.conftest import ADMIN_PASSWORD, Visiting
from tests.browser.web_shots import LONG_KEY

WIDE = (1440, 900)
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])


@pytest.fixture
def admin(visiting: Visiting, size: tuple[int, int]) -> Iterator[Visit]:
    with visiting("web", size=size) as one:
        one.log_in("admin", ADMIN_PASSWORD)
        yield one


def expect_fits(page: Page) -> None:
    """Nothing makes the page wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def is_there(system: System, key: str, body: bytes) -> bool:
    answer = system.client().get(key)
    return (answer.status, answer.body) == (200, body)


@SIZES
def test_delete_undo_and_restore(admin: Visit, system: System, size: tuple[int, int]) -> None:
    keys = [f"{size[0]}/holidays/beach.png", f"{size[0]}/{LONG_KEY}"]
    bodies = [picture(seed=size[0] + number, size=(320, 200)) for number in range(2)]
    for key, body in zip(keys, bodies, strict=True):
        assert system.admin().put(key, body).status == 201

    page = admin.go(f"/view/{keys[0]}")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete image").click()
    notice = page.get_by_role("status").filter(has_text="Image deleted.")
    expect(notice).to_be_visible()
    admin.check_accessibility()
    expect_fits(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="restored")).to_be_visible()
    assert is_there(system, keys[0], bodies[0])

    for key in keys:
        assert system.admin().delete(key).status == 204
    assert system.admin().put(keys[0], picture(seed=9)).status == 201  # restored over: replaced, and so in the trash
    page = admin.go("/trash")
    expect(page.get_by_role("row").filter(has_text="beach.png").first).to_be_visible()
    admin.check_accessibility()
    expect_fits(page)
    for key, body in zip(keys, bodies, strict=True):
        admin.go(f"/trash?prefix={key}")
        page.get_by_role("button", name=f"Restore {key}, version").first.click()
        expect(page.get_by_role("status").filter(has_text="restored")).to_be_visible()
        wait_for(lambda key=key, body=body: is_there(system, key, body), "it is restored")  # type: ignore[misc]
    page = admin.go("/trash?prefix=there/is/no/such")
    expect(page.get_by_text("No results")).to_be_visible()


@SIZES
def test_damaged_images_are_listed_in_the_manager(visiting: Visiting, system: System, size: tuple[int, int]) -> None:
    keys = {f"{size[0]}/spoilt.png": "damaged", f"{size[0]}/gone/{LONG_KEY}": "lost"}
    for number, (key, state) in enumerate(keys.items()):
        body = picture(seed=100 * size[0] + number)
        assert system.admin().put(key, body).status == 201
        spoil(system, hashlib.sha256(body).hexdigest(), state)
        assert system.client().get(key).problem == (500, state)
    with visiting("manager", size=size) as manager:
        manager.log_in("admin", ADMIN_PASSWORD, "/images")
        page = manager.page
        for key, state in keys.items():
            row = page.get_by_role("row").filter(has_text=key)
            expect(row).to_contain_text(state)
        expect(page.get_by_role("heading", name="Damaged and lost images")).to_be_visible()
        manager.check_accessibility()
        expect_fits(page)
        page.goto(f"{manager.url}/")
        expect(page.locator(".health-parts")).to_contain_text("1 damaged, 1 lost")
    for number, key in enumerate(keys):
        assert system.admin().put(key, picture(seed=size[0] + 7 + number)).status == 200
    with visiting("manager", size=size) as manager:
        manager.log_in("admin", ADMIN_PASSWORD, "/images")
        expect(manager.page.get_by_role("heading", name="Images", exact=True)).to_be_visible()
        expect(manager.page.get_by_text(next(iter(keys)))).to_have_count(0)


def spoil(system: System, sha256: str, state: str) -> None:
    with closing(sqlite3.connect(system.data / "elastic-images.db")) as database:
        query = "SELECT object_name FROM images WHERE sha256 = ?"
        (name,) = database.execute(query, (sha256,)).fetchone()
    path = system.data / "objects" / name[:2] / name
    if state == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
